"""Which experiments are compared: of one benchmark, with results, and with the same metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cloudtune.constants import ST_TUNER_TIME, TRIAL_ID
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.notes import Notes, listed
from cloudtune.experiments.hypervolume import MAX_LOSSES
from cloudtune.experiments.metadata_form import UnusualMetadata, said_modes, said_text
from cloudtune.store.results_object import DamagedResults

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult

#: Name of a metric and the factor that makes smaller values the better ones.
Signed = tuple[str, float]

#: Of metadata of a winner that was run again: no method has tuned there.
_RERUN = "rerun_of"
# How experiments ended whose metadata do not tell the state: nothing will come after that.
_ENDS = frozenset({"stopping criterion reached", "nothing left to suggest", "too many failed trials"})


def of_benchmark(
    experiments: Iterable[ExperimentResult], benchmark_name: str | None, key: str
) -> tuple[list[ExperimentResult], str | None]:
    """The experiments of the benchmark, and its name; None if they name none. Winners that were run again are left out.

    Raises:
        CloudtuneError: There is none, or there are several benchmarks and none is chosen.
    """
    all_of_them = [experiment for experiment in experiments if _RERUN not in experiment.metadata]
    if not all_of_them:
        raise CloudtuneError("there are no experiments to compare; look at experiment_names= and experiment_filter=")
    known = sorted({str(name) for one in all_of_them if (name := one.metadata.get(key)) is not None})
    if benchmark_name is None:
        if len(known) > 1:
            raise CloudtuneError(
                f"the experiments are of several benchmarks: choose one of {listed(known)} with benchmark_name="
            )
        return all_of_them, known[0] if known else None
    chosen = [experiment for experiment in all_of_them if experiment.metadata.get(key) == benchmark_name]
    if not chosen:
        there = f"those there are of {listed(known)}" if known else f"their metadata have no {key!r}"
        raise CloudtuneError(f"no experiment is of benchmark {benchmark_name!r}; {there}")
    return chosen, benchmark_name


def with_results(experiments: Sequence[ExperimentResult], notes: Notes) -> list[ExperimentResult]:
    """Those that have reports, and metadata that say what was optimised; the others are named in the notes."""
    passed_over: dict[str, list[str]] = {}
    told = []
    for one in experiments:
        try:
            if one.results.empty:
                passed_over.setdefault("because they have no results yet", []).append(one.name)
                continue
            said_modes(one.metadata)
            missing = [name for name in (TRIAL_ID, ST_TUNER_TIME) if name not in one.results.columns]
            if missing:
                passed_over.setdefault(f"because their results have no column {missing[0]!r}", []).append(one.name)
                continue
            told.append(one)
        except UnusualMetadata as error:
            why = f"because their metadata do not say what was optimised ({error})"
            passed_over.setdefault(why, []).append(one.name)
        except DamagedResults as error:
            passed_over.setdefault(f"because their results cannot be read ({error})", []).append(one.name)
    for why, names in passed_over.items():
        notes.add(f"passed over, {why}: {listed(names)}")
    return told


def common_metrics(
    experiments: Sequence[ExperimentResult], metric: str | int | tuple[str, ...] | None
) -> tuple[Signed, ...]:
    """The metric that all experiments are compared by, or those of a hypervolume.

    Raises:
        CloudtuneError: Some have another one, or go the other way.
    """
    wanted = tuple(metric) if isinstance(metric, (tuple, list)) else (metric,)
    if not 1 <= len(wanted) <= MAX_LOSSES:
        raise CloudtuneError(
            f"metric={metric!r} names {len(wanted)} metrics; choose one, or two to {MAX_LOSSES} for their hypervolume"
        )
    if len(set(wanted)) < len(wanted):
        raise CloudtuneError(f"metric={metric!r} names one metric twice; a hypervolume needs each once")
    found: dict[tuple[Signed, ...], list[str]] = {}
    without: list[ValueError] = []
    for experiment in experiments:
        try:
            signed = tuple(experiment.metric(one) for one in wanted)
        except ValueError as error:
            without.append(error)
            continue
        found.setdefault(signed, []).append(experiment.name)
    if without:
        advice = ", or leave it out of the comparison with experiment_filter=" if found else ""
        raise CloudtuneError(f"{without[0]}{advice}") from without[0]
    if len(found) > 1:
        told = "; ".join(f"{_described(signed)}: {listed(names)}" for signed, names in found.items())
        raise CloudtuneError(
            "experiments with different metrics or modes cannot be compared: choose one that all have with "
            f"PlotParameters(metric=...), or leave experiments out with experiment_filter= ({told})"
        )
    return next(iter(found))


def common_resource_attr(
    experiments: Sequence[ExperimentResult], notes: Notes
) -> Callable[[ExperimentResult], str | None]:
    """From an experiment the column that counts resource; one that names none has that of the others."""
    named = {name for one in experiments if (name := said_text(one.metadata, "resource_attr"))}
    default = next(iter(named)) if len(named) == 1 else None
    if len(named) > 1:
        notes.add(f"experiments count resource by different names: {listed(sorted(named))}")
    return lambda experiment: said_text(experiment.metadata, "resource_attr") or default


def has_finished(experiment: ExperimentResult) -> bool:
    """Whether its tuner ended for good: not by a signal, and it did not just vanish."""
    state = said_text(experiment.metadata, "st_finished_state")
    if state:
        return state in {"finished", "failed"}
    return said_text(experiment.metadata, "st_finished_why") in _ENDS


def _described(signed: tuple[Signed, ...]) -> str:
    return " and ".join(f"{name} ({'min' if sign > 0 else 'max'})" for name, sign in signed)
