"""The best configurations of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.constants import CONFIG_PREFIX, TRIAL_ID
from cloudtune.errors import CloudtuneError
from cloudtune.studies.cell_tuner import BENCHMARK, MASTER_SEED, METHOD, TAG

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.trial import Config

#: Of metadata: the experiment whose winner was run again. What compares methods leaves out what has it.
RERUN_OF = "rerun_of"


class NothingToRerun(CloudtuneError):
    """The study has no result to run again, or its benchmark cannot be."""


@dataclass(frozen=True)
class Winner:
    """The best configuration of a study on one benchmark.

    Args:
        tag: Of the study.
        benchmark: Name of the benchmark.
        experiment: Name of the experiment that found it.
        method: That of the experiment.
        trial_id: Number of its trial there.
        metric: What was optimised.
        mode: ``"min"`` or ``"max"``.
        value: The best that the trial has reported.
        config: Of the trial.
        master_seed: Of the experiment's study; None where it does not tell.
    """

    tag: str
    benchmark: str
    experiment: str
    method: str
    trial_id: int
    metric: str
    mode: str
    value: float
    config: Config
    master_seed: int | None = None


def is_of_study(tag: str, metadata: Mapping[str, Any]) -> bool:
    """Whether an experiment is one of those that a study compares; what was run again is none."""
    return metadata.get(TAG) == tag and BENCHMARK in metadata and RERUN_OF not in metadata


def winners(tag: str, experiments: Iterable[ExperimentResult], benchmarks: Iterable[str] = ()) -> list[Winner]:
    """The best configuration on each benchmark, over all methods and seeds. Of equally good ones, the one found first.

    Args:
        tag: Of the study.
        experiments: In the order in which they began; those of other studies do not count.
        benchmarks: Only on these.

    Raises:
        NothingToRerun: There is no result, or experiments on one benchmark optimise different things.
    """
    best: dict[str, Winner] = {}
    seen: list[str] = []
    for experiment in experiments:
        if not is_of_study(tag, experiment.metadata):
            continue
        seen.append(experiment.name)
        found = _winner_of(tag, experiment)
        if found is None:
            continue
        other = best.get(found.benchmark)
        if other is not None and (other.metric, other.mode) != (found.metric, found.mode):
            raise NothingToRerun(
                f"{other.experiment} and {found.experiment} optimise different things on {found.benchmark}: "
                f"{other.mode} {other.metric} and {found.mode} {found.metric}; put them under two tags"
            )
        sign = 1.0 if found.mode == "min" else -1.0
        if other is None or sign * found.value < sign * other.value:
            best[found.benchmark] = found
    wanted = list(benchmarks) or sorted(best)
    for name in wanted:
        if name not in best:
            told = f"there are results on {', '.join(sorted(best))}" if best else _why_none(seen)
            raise NothingToRerun(f"study {tag!r} has no result on {name}; {told}")
    if not wanted:
        raise NothingToRerun(f"study {tag!r} has no result; {_why_none(seen)}")
    return [best[name] for name in wanted]


def _why_none(seen: list[str]) -> str:
    if seen:
        return f"none of its {len(seen)} experiments has reported a finite number yet"
    return "there is no experiment that was launched under this tag; `cloudtune list` shows those on this machine"


def _winner_of(tag: str, experiment: ExperimentResult) -> Winner | None:
    """None: it has no result yet."""
    try:
        row = experiment.best_config()
    except (CloudtuneError, ValueError):
        return None
    metric, sign = experiment.metric()
    return Winner(
        tag=tag,
        benchmark=str(experiment.metadata[BENCHMARK]),
        experiment=experiment.name,
        method=str(experiment.metadata.get(METHOD, "")),
        trial_id=int(row[TRIAL_ID]),
        metric=metric,
        mode="min" if sign > 0 else "max",
        value=float(row[metric]),
        config={
            name.removeprefix(CONFIG_PREFIX): value for name, value in row.items() if name.startswith(CONFIG_PREFIX)
        },
        master_seed=experiment.metadata.get(MASTER_SEED),
    )
