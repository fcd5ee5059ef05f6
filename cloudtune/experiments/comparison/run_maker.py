"""The runs of a comparison, as steps: what each experiment had reached by what it had spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.comparison import Floats
from cloudtune.experiments.comparison.grid import LARGEST, Run, best_so_far
from cloudtune.experiments.comparison.notes import Notes, listed
from cloudtune.experiments.comparison.plot_parameters import SECONDS, PlotParameters
from cloudtune.experiments.comparison.selection import Signed, common_resource_attr, has_finished
from cloudtune.experiments.comparison.spending import NotTold, spent
from cloudtune.experiments.hypervolume import dominated_volumes

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult


class RunMaker:
    """Makes steps of experiments.

    Args:
        experiments: With results.
        metrics: What they are compared by.
        parameters: What is shown.
        notes: Where it is said which were passed over, and why.
    """

    def __init__(
        self,
        experiments: Sequence[ExperimentResult],
        metrics: tuple[Signed, ...],
        parameters: PlotParameters,
        notes: Notes,
    ) -> None:
        self._experiments = experiments
        self._metrics = metrics
        self._parameters = parameters
        self._notes = notes
        self._resource_attr_of: Callable[[ExperimentResult], str | None] = lambda _: parameters.resource_attr
        if parameters.over == "resource" and parameters.resource_attr is None:
            self._resource_attr_of = common_resource_attr(experiments, notes)

    def runs(self) -> dict[int, Run]:
        """For each experiment (by id of the object) its steps.

        Without those that have no finite value, or do not tell what they have spent.

        Raises:
            NotTold: None of them tells it.
        """
        losses = self._losses()
        made: dict[int, Run] = {}
        hopeless, unfinished = [], []
        silent: dict[str, list[str]] = {}
        error: NotTold | None = None
        unit = SECONDS[self._parameters.time_unit or "s"] if self._parameters.over == "time" else 1.0
        for experiment, loss in losses:
            over = self._parameters.over or "time"
            try:
                x = spent(experiment, over, self._resource_attr_of(experiment)) / unit
            except NotTold as not_told:
                error = error or not_told
                silent.setdefault(not_told.why, []).append(experiment.name)
                continue
            run = best_so_far(experiment.name, x, loss, has_finished(experiment))
            if run is None:
                hopeless.append(experiment.name)
                continue
            made[id(experiment)] = run
            if not run.finished:
                unfinished.append(experiment.name)
        if error is not None and not made and not hopeless:
            raise error
        for why, names in silent.items():
            self._notes.add(f"passed over, because each {why}: {listed(names)}")
        if hopeless:
            self._notes.add(
                f"passed over, because no value of the metric is a finite number below {LARGEST:g}: {listed(hopeless)}"
            )
        if unfinished:
            self._notes.add(f"not finished, and counted up to the last report only: {listed(unfinished)}")
        return made

    def _losses(self) -> list[tuple[ExperimentResult, Floats]]:
        """Of each experiment a loss for each report, infinite where there is none."""
        found: list[tuple[ExperimentResult, list[Floats]]] = []
        unreported: dict[str, list[str]] = {}
        for experiment in self._experiments:
            try:
                found.append((experiment, [_usable(experiment.losses(name, sign)) for name, sign in self._metrics]))
            except ValueError as error:
                unreported.setdefault(str(error), []).append(experiment.name)
        for why, names in unreported.items():
            self._notes.add(f"passed over ({why}): {listed(names)}")
        if len(self._metrics) == 1:
            return [(experiment, columns[0]) for experiment, columns in found]
        points = [(experiment, np.stack(columns, axis=1)) for experiment, columns in found]
        corner = self._corner([of_each for _, of_each in points])
        return [(experiment, -_volumes(of_each, corner)) for experiment, of_each in points]

    def _corner(self, points: Sequence[Floats]) -> list[float]:
        """The reference point, as losses. All experiments share it: volumes to different corners do not compare."""
        given = self._parameters.reference_point
        if given is not None and len(given) != len(self._metrics):
            names = listed([name for name, _ in self._metrics])
            raise CloudtuneError(f"reference_point={given!r} must hold a number for each of {names}")
        if given is not None:
            return [corner * sign for corner, (_, sign) in zip(given, self._metrics, strict=True)]
        finite = [of_each[np.isfinite(of_each).all(axis=1)] for of_each in points]
        worst: list[float] = np.concatenate([np.full((1, len(self._metrics)), -np.inf), *finite]).max(axis=0).tolist()
        return worst


def _usable(losses: Floats) -> Floats:
    return np.where(np.abs(losses) < LARGEST, losses, np.inf)


def _volumes(points: Floats, corner: Sequence[float]) -> Floats:
    """The volume that is dominated after each point; NaN before there is one whose values are all finite."""
    volumes = np.array(dominated_volumes(points.tolist(), corner))
    volumes[np.cumsum(np.isfinite(points).all(axis=1)) == 0] = np.nan
    return volumes
