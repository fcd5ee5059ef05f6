"""Makes the curves of a comparison from experiments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.aggregation import aggregate, shown_points
from cloudtune.experiments.comparison.comparison import Comparison, Curve, Panel
from cloudtune.experiments.comparison.grid import Run, common_grid, on_grid
from cloudtune.experiments.comparison.notes import Notes, listed
from cloudtune.experiments.comparison.plot_parameters import PlotParameters, SubplotParameters
from cloudtune.experiments.comparison.run_maker import RunMaker
from cloudtune.experiments.comparison.selection import Signed, common_metrics, of_benchmark, with_results
from cloudtune.experiments.comparison.setups import (
    Group,
    MetadataToSetup,
    MetadataToSubplot,
    grouped,
    warn_of_numbers,
)
from cloudtune.experiments.comparison.wording import usual_caption, usual_xlabel, usual_ylabel

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult


def compare(
    experiments: Iterable[ExperimentResult],
    plot_params: PlotParameters | None = None,
    *,
    benchmark_name: str | None = None,
    metadata_to_setup: MetadataToSetup | None = None,
    metadata_to_subplot: MetadataToSubplot | None = None,
    setups: Sequence[str] | None = None,
    num_runs: int | None = None,
    benchmark_key: str = "benchmark",
) -> Comparison:
    """Groups experiments, and aggregates the runs of each group. What is passed over is warned of.

    Args:
        experiments: Of one benchmark, or of several of which ``benchmark_name`` picks one.
        plot_params: What is shown.
        benchmark_name: Only experiments whose metadata name this benchmark.
        metadata_to_setup: From an experiment's metadata the setup that it is a run of; None leaves it out. Default: by
            method, by number of workers, or by both, as far as they differ.
        metadata_to_subplot: From an experiment's metadata the number or title of its subplot; None leaves it out.
            Default: a subplot for each method, if neither this nor ``metadata_to_setup`` is given and both methods and
            numbers of workers differ; else one for all.
        setups: The setups, in the order in which they are shown; others are left out. Default: all, sorted.
        num_runs: How many runs each setup should have.
        benchmark_key: The key of the metadata that names the benchmark.

    Raises:
        CloudtuneError: Nothing is left to compare, or experiments of several benchmarks or with different metrics are.
    """
    parameters = (plot_params or PlotParameters()).complete()
    notes = Notes()
    chosen, benchmark = of_benchmark(experiments, benchmark_name, benchmark_key)
    chosen = with_results(chosen, notes)
    groups = grouped(chosen, metadata_to_setup, metadata_to_subplot, setups, notes)
    members = [experiment for group in groups for experiment in group.experiments]
    if not members:
        why = (
            f": {'; '.join(notes.all())}"
            if notes.all()
            else f": metadata_to_setup= or metadata_to_subplot= leaves each of {len(chosen)} out (of {_told(chosen)})"
        )
        raise CloudtuneError(f"no experiment is left to compare{why}")
    metrics = common_metrics(members, parameters.metric)
    warn_of_numbers(groups, num_runs, notes)
    runs = RunMaker(members, metrics, parameters, notes).runs()
    panels = _panels(groups, runs, parameters, _factor(metrics, parameters), notes)
    if not panels:
        raise CloudtuneError(f"no experiment is left to compare: {'; '.join(notes.all())}")
    names = tuple(name for name, _ in metrics)
    return Comparison(
        subplots=panels,
        metric=names,
        mode="max" if len(names) > 1 or metrics[0][1] < 0 else "min",
        xlabel=parameters.xlabel or usual_xlabel(parameters, members),
        ylabel=parameters.ylabel or usual_ylabel(names),
        parameters=parameters,
        caption=usual_caption(panels, parameters) if parameters.caption is None else parameters.caption,
        benchmark=benchmark,
        notes=notes.all(),
    )


def _told(experiments: Sequence[ExperimentResult]) -> str:
    """What groups are made of, for somebody who has to put them right."""
    values = {
        key: sorted({str(one.metadata[key]) for one in experiments if key in one.metadata})
        for key in ("method", "n_workers")
    }
    return "; ".join(f"{key} {listed(of_key)}" for key, of_key in values.items() if of_key) or "unknown methods"


def _factor(metrics: tuple[Signed, ...], parameters: PlotParameters) -> float:
    """What makes a loss the value that is shown. A hypervolume was a loss with its sign turned."""
    return (-1.0 if len(metrics) > 1 else metrics[0][1]) * (parameters.metric_multiplier or 1.0)


def _panels(
    groups: Sequence[Group], runs: dict[int, Run], parameters: PlotParameters, factor: float, notes: Notes
) -> tuple[Panel, ...]:
    of_subplot: dict[int | str, list[Group]] = {}
    for group in groups:
        of_subplot.setdefault(group.subplot, []).append(group)
    titles = (parameters.subplots.titles if parameters.subplots is not None else None) or ()
    by_number = all(isinstance(subplot, int) for subplot in of_subplot)
    keeps_places = by_number and _has_places(parameters.subplots or SubplotParameters())
    panels: list[Panel] = []
    for subplot, members in of_subplot.items():
        index = subplot if keeps_places and isinstance(subplot, int) else len(panels)
        of_setup = {group.setup: [runs[id(one)] for one in group.experiments if id(one) in runs] for group in members}
        curves = _curves({setup: of_it for setup, of_it in of_setup.items() if of_it}, parameters, factor, notes)
        title = titles[index] if index < len(titles) else "" if by_number else str(subplot)
        if curves:
            panels.append(Panel(title, curves, index))
    return tuple(panels)


def _has_places(subplots: SubplotParameters) -> bool:
    """Whether it is said for numbers of subplots what they are: else only their order counts, and none stays empty."""
    return any(
        value is not None
        for value in (subplots.nrows, subplots.ncols, subplots.titles, subplots.legend_no, subplots.xlims)
    )


def _curves(
    of_setup: dict[str, list[Run]], parameters: PlotParameters, factor: float, notes: Notes
) -> tuple[Curve, ...]:
    if not of_setup:
        return ()
    grid = common_grid([run for members in of_setup.values() for run in members])
    curves = []
    for setup, members in of_setup.items():
        values = factor * np.stack([on_grid(run, grid) for run in members])
        shown = shown_points(values)
        if not shown.any():
            notes.add(f"no curve for setup {setup!r}: where all of its runs have begun, less than half go on")
            continue
        found = aggregate(
            values[:, shown],
            parameters.aggregate_mode or "iqm_bootstrap",
            parameters.confidence or 0.95,
            parameters.num_draws or 1000,
            parameters.random_seed or 0,
        )
        names = tuple(run.name for run in members)
        ends = max(run.end for run in members)
        curves.append(Curve(setup, names, grid[shown], found.centre, found.lower, found.upper, found.counts, ends))
    return tuple(curves)
