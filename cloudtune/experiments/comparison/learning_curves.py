"""Learning curves of an experiment's trials: where they were paused, stopped, or passed a rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import ST_DECISION, TRIAL_ID
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.grid import LARGEST
from cloudtune.experiments.comparison.selection import Signed
from cloudtune.experiments.values import column_of_numbers, holds_numbers

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: How a trial's reports end.
STOPPED, PAUSED, OTHER = "stopped", "paused", "other"


@dataclass(frozen=True)
class TrialCurve:
    """The reports of a trial.

    Args:
        trial_id: Its number.
        x: Of its reports. NaN between two reports: it was paused there, and the line is broken.
        y: The metric; NaN also where it is not finite.
        fate: ``"stopped"`` (by the scheduler, before the end), ``"paused"``, or ``"other"`` (to the end, failed, or
            running still).
        pauses: Points (x, y) at which it was told to pause.
        rungs: Points at which it reached a rung level and went on.
    """

    trial_id: int
    x: Floats = field(repr=False)
    y: Floats = field(repr=False)
    fate: str
    pauses: Sequence[tuple[float, float]] = field(default=(), repr=False)
    rungs: Sequence[tuple[float, float]] = field(default=(), repr=False)

    @property
    def end(self) -> tuple[float, float]:
        """Its last report."""
        return float(self.x[-1]), float(self.y[-1])


@dataclass(frozen=True)
class TrialCurves:
    """All trials of an experiment.

    Args:
        experiment: Its name.
        setup: That it is a run of.
        curves: By number of the trial.
        best: Number of the trial with the best value; None if no value is finite.
        best_point: Where that value is.
        rung_levels: Of its scheduler, rising; empty if it has none.
    """

    experiment: str
    setup: str
    curves: tuple[TrialCurve, ...] = field(repr=False)
    best: int | None
    best_point: tuple[float, float] | None
    rung_levels: tuple[float, ...]


def learning_curves(
    experiment: ExperimentResult,
    setup: str,
    metric: Signed,
    x: Floats,
    resource_attr: str | None,
    breaks_at_pauses: bool = True,
) -> TrialCurves:
    """The curves of an experiment with results.

    Args:
        experiment: The experiment.
        setup: That it is a run of.
        metric: What the curves show.
        x: Place of each report on the horizontal axis.
        resource_attr: Column that counts a trial's resource; None: rungs are not known.
        breaks_at_pauses: A line is broken where its trial was paused: there is a gap on an axis of time only.
    """
    name, sign = metric
    losses = experiment.losses(name, sign)
    losses = np.where(np.abs(losses) < LARGEST, losses, np.inf)
    values = np.where(np.isfinite(losses), sign * losses, np.nan)
    trials = experiment.results[TRIAL_ID].to_numpy()
    has_decisions = ST_DECISION in experiment.results.columns
    decisions = experiment.results[ST_DECISION].to_numpy() if has_decisions else np.full(len(trials), "CONTINUE")
    resource = resource_of(experiment, resource_attr)
    levels = rung_levels(experiment)
    order = np.argsort(trials, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(trials[order])) + 1)
    best = int(np.argmin(losses)) if np.isfinite(losses).any() else None
    max_t = _number(experiment.metadata.get("max_t"))
    curves = (
        _curve(int(trials[rows[0]]), x[rows], values[rows], decisions[rows], resource[rows], levels, max_t)
        for rows in parts
    )
    return TrialCurves(
        experiment=experiment.name,
        setup=setup,
        curves=tuple(curves if breaks_at_pauses else map(_unbroken, curves)),
        best=None if best is None else int(trials[best]),
        best_point=None if best is None else (float(x[best]), float(values[best])),
        rung_levels=levels,
    )


def rung_levels(experiment: ExperimentResult) -> tuple[float, ...]:
    """The levels at which its scheduler compares trials, as its metadata tell them."""
    levels = experiment.metadata.get("rung_levels")
    return tuple(sorted(_number(level) for level in levels)) if isinstance(levels, list) else ()


def resource_of(experiment: ExperimentResult, resource_attr: str | None) -> Floats:
    """What each report says its trial has used; NaN where it does not."""
    results = experiment.results
    if resource_attr is None or resource_attr not in results.columns:
        return np.full(len(results), np.nan)
    if not holds_numbers(results[resource_attr]):
        raise CloudtuneError(
            f"experiment {experiment.name!r} reports values of {resource_attr!r} that are no numbers; name what counts "
            "the resource with PlotParameters(resource_attr=...)"
        )
    return column_of_numbers(results[resource_attr])


def _curve(
    trial_id: int,
    x: Floats,
    y: Floats,
    decisions: np.ndarray[Any, Any],
    resource: Floats,
    levels: Sequence[float],
    max_t: float,
) -> TrialCurve:
    paused = decisions == "PAUSE"
    fate = OTHER
    # At the last level, trials are told to stop because they are done.
    if decisions[-1] == "STOP" and not resource[-1] >= max_t:
        fate = STOPPED
    elif paused[-1]:
        fate = PAUSED
    reached = np.maximum.accumulate(np.where(np.isnan(resource), -np.inf, resource))
    first_at = np.searchsorted(reached, [level for level in levels if level <= reached[-1]])
    # Not where it got no further: there, another mark says so.
    passed = [row for row in np.unique(first_at) if decisions[row] == "CONTINUE"]
    breaks = np.flatnonzero(paused[:-1]) + 1
    return TrialCurve(
        trial_id,
        np.insert(x, breaks, np.nan),
        np.insert(y, breaks, np.nan),
        fate,
        [(float(x[row]), float(y[row])) for row in np.flatnonzero(paused)],
        [(float(x[row]), float(y[row])) for row in passed],
    )


def _unbroken(curve: TrialCurve) -> TrialCurve:
    known = ~np.isnan(curve.x)
    return replace(curve, x=curve.x[known], y=curve.y[known])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else np.inf
