"""Learning curves of the trials of experiments, as a figure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cloudtune.constants import ST_TUNER_TIME
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.drawn_text import LONGEST_TITLE, drawn_name
from cloudtune.experiments.comparison.gathered import experiments_of
from cloudtune.experiments.comparison.learning_curves import Floats, TrialCurves, learning_curves, resource_of
from cloudtune.experiments.comparison.notes import Notes
from cloudtune.experiments.comparison.plot_parameters import SECONDS, PlotParameters
from cloudtune.experiments.comparison.saving import check_file_name, save
from cloudtune.experiments.comparison.selection import (
    Signed,
    common_metrics,
    common_resource_attr,
    of_benchmark,
    with_results,
)
from cloudtune.experiments.comparison.setups import Group, MetadataToSetup, grouped
from cloudtune.experiments.comparison.trials_figure import draw_trials
from cloudtune.experiments.metadata_form import said_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.loading import ExperimentFilter


class TrialsOfExperimentResults:
    """Shows how single experiments went: a learning curve for each trial, a subplot for each setup.

    Marked are the best trial, where trials were paused or stopped early, and where they reached a rung of their
    scheduler.

    Args:
        experiment_names: See :class:`ComparativeResults`.
        setups: See :class:`ComparativeResults`.
        metadata_to_setup: See :class:`ComparativeResults`.
        plot_params: What figures show, and how. Of ``over`` only ``"time"`` (default) and ``"resource"`` are known.
        benchmark_key: See :class:`ComparativeResults`.
        experiment_filter: See :class:`ComparativeResults`.
        download_from_s3: See :class:`ComparativeResults`.
        s3_path: See :class:`ComparativeResults`.
        local_path: See :class:`ComparativeResults`.

    Raises:
        ExperimentNotFound: Nothing fits one of the names.
    """

    def __init__(
        self,
        experiment_names: str | Sequence[str | ExperimentResult],
        setups: Sequence[str] | None = None,
        metadata_to_setup: MetadataToSetup | None = None,
        plot_params: PlotParameters | None = None,
        benchmark_key: str = "benchmark",
        experiment_filter: ExperimentFilter | None = None,
        download_from_s3: bool | None = None,
        s3_path: str | None = None,
        local_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.experiments = experiments_of(experiment_names, experiment_filter, download_from_s3, s3_path, local_path)
        self._setups = setups
        self._metadata_to_setup = metadata_to_setup
        self._plot_params = plot_params
        self._benchmark_key = benchmark_key

    def plot(
        self,
        benchmark_name: str | None = None,
        seed: int = 0,
        plot_params: PlotParameters | None = None,
        file_name: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """Draws the figure, which is not one of pyplot's.

        Args:
            benchmark_name: Of which benchmark. Not needed if all experiments are of the same.
            seed: Which run of each setup is shown: the one whose metadata have this seed or, if none of its runs has
                seeds, the one with this place among them, by name.
            plot_params: Laid over those of the constructor: what is given here counts.
            file_name: Save it there, as png, svg or pdf by the suffix.

        Raises:
            CloudtuneError: Nothing is left to show, the experiments have different metrics or are of different
                benchmarks, matplotlib is missing, or the suffix is another one.
        """
        path = None if file_name is None else check_file_name(file_name)
        parameters = (plot_params or PlotParameters()).laid_over(self._plot_params).complete()
        if parameters.over not in {"time", "resource"}:
            raise CloudtuneError(f"trials cannot be shown over={parameters.over!r}: choose 'time' or 'resource'")
        chosen, benchmark = of_benchmark(self.experiments, benchmark_name, self._benchmark_key)
        notes = Notes()
        filled = with_results(chosen, notes)
        groups = grouped(filled, self._metadata_to_setup, lambda _: "", self._setups, notes)
        runs = _runs_with_seed(groups, seed, notes)
        if not runs:
            raise CloudtuneError(
                f"no experiment with seed {seed} is left to show: choose another with seed=, or look at what was "
                "warned of"
            )
        (metric, *others) = common_metrics(list(runs.values()), parameters.metric)
        if others:
            raise CloudtuneError(f"learning curves show one metric, not metric={parameters.metric!r}; choose one of it")
        shown = _curves_of(runs, metric, parameters, notes)
        xlabel = f"wall-clock time [{parameters.time_unit}]"
        if parameters.over == "resource":
            drawn = {one.setup for one in shown}
            names = {_resource_attr(one, parameters) for setup, one in runs.items() if setup in drawn} - {None}
            xlabel = str(names.pop()) if len(names) == 1 else "resource"
        figure = draw_trials(
            shown,
            parameters,
            (parameters.xlabel or drawn_name(xlabel), parameters.ylabel or drawn_name(metric[0])),
            drawn_name(benchmark or "", LONGEST_TITLE) if parameters.title is None else parameters.title,
            "min" if metric[1] > 0 else "max",
        )
        if path is not None:
            save(figure, path, parameters.dpi or 200)
        return figure


def _runs_with_seed(groups: Sequence[Group], seed: int, notes: Notes) -> dict[str, ExperimentResult]:
    found = {}
    for group in groups:
        runs = sorted(group.experiments, key=lambda one: one.name)
        seeds = [one.metadata.get("seed") for one in runs]
        fitting = [one for one, its in zip(runs, seeds, strict=True) if its == seed]
        if all(its is None for its in seeds):
            fitting = runs[seed : seed + 1]
        if not fitting:
            known = ", ".join(str(its) for its in seeds if its is not None)
            notes.add(f"setup {group.setup!r} has no run with seed {seed}; its seeds are {known or 'not known'}")
            continue
        if len(fitting) > 1:
            notes.add(f"setup {group.setup!r} has {len(fitting)} runs with seed {seed}: {fitting[0].name!r} is shown")
        found[group.setup] = fitting[0]
    return found


def _curves_of(
    runs: dict[str, ExperimentResult], metric: Signed, parameters: PlotParameters, notes: Notes
) -> list[TrialCurves]:
    """Of each setup the curves, without those of which there are none; raises CloudtuneError if that are all."""
    named = common_resource_attr(list(runs.values()), notes)
    shown = []
    refused: dict[str, Exception] = {}
    for setup, experiment in runs.items():
        attribute = parameters.resource_attr or named(experiment)
        try:
            x = _places(experiment, attribute, parameters)
            shown.append(learning_curves(experiment, setup, metric, x, attribute, parameters.over == "time"))
        except (CloudtuneError, ValueError) as error:
            refused[setup] = error
    if not shown:
        first = next(iter(refused.values()))
        raise CloudtuneError(str(first)) from first
    for setup, why in refused.items():
        notes.add(f"setup {setup!r} is passed over ({why})")
    return shown


def _places(experiment: ExperimentResult, attribute: str | None, parameters: PlotParameters) -> Floats:
    """Where its reports stand on the horizontal axis."""
    if parameters.over == "time":
        return experiment.results[ST_TUNER_TIME].to_numpy(dtype=float) / SECONDS[parameters.time_unit or "s"]
    if attribute is None:
        raise CloudtuneError(
            f"experiment {experiment.name!r} does not tell which of its numbers counts what trials use: name it "
            "with PlotParameters(resource_attr=...), or choose over='time'"
        )
    x = resource_of(experiment, attribute)
    if not np.isfinite(x).any():
        raise CloudtuneError(
            f"no report of experiment {experiment.name!r} holds a number {attribute!r}: name what counts the resource "
            "with PlotParameters(resource_attr=...), or choose over='time'"
        )
    return x


def _resource_attr(experiment: ExperimentResult, parameters: PlotParameters) -> str | None:
    return parameters.resource_attr or said_text(experiment.metadata, "resource_attr") or None
