"""What trials have shown so far, at each rung level, and what the running ones will show next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.searchers.bayesian.encoder import Array
from cloudtune.optimizer.searchers.observed_costs import finite_cost


class Shown(NamedTuple):
    """What a trial has shown at one level.

    Args:
        objective: Lower is better; infinite if the value was not finite, or the trial failed.
        constraint: Fulfilled if not above 0; infinite if it was not finite; None if it was not reported.
        cost: None if it was not reported, or is no positive number.
    """

    objective: float
    constraint: float | None = None
    cost: float | None = None


@dataclass
class _Trial:
    row: Array
    running: bool = True
    #: By number of the level.
    shown: list[Shown] = field(default_factory=list)
    #: It ended before its first level: what it has shown there is less than it will show if it goes on.
    is_short: bool = False
    last: Shown | None = None
    #: The highest cost of all its reports.
    cost: float = 0.0


class Observation(NamedTuple):
    """One trial at one level (its number, counted from 0)."""

    trial: int
    row: Array
    level: int
    shown: Shown


class Observations:
    """Keeps what a searcher is told of its trials.

    Where there are rung levels, a trial shows at a level what it reports first at or beyond it, and a running trial
    is pending at the level that it will reach next. One that ends before the first shows its last report there: of a
    trial that left no trace the model would know as little as before, and propose the same again. Else there is one
    level, at which a trial shows its last report once it has ended, and until then is pending. A trial that fails has
    shown infinity at the level it was to reach. One that ends without any report stays pending.

    Args:
        goal: The objective, and the levels.
        constraint_attr, cost_attr: Further values to keep; None: not asked for.
    """

    def __init__(self, goal: Goal, constraint_attr: str | None = None, cost_attr: str | None = None) -> None:
        self._metric = goal.metrics[0]
        self._sign = goal.cost_sign(self._metric)
        self._resource_attr = goal.resource_attr or ""
        #: Levels of the resource; () if there is but one, the end.
        self.levels = goal.levels if goal.resource_attr is not None else ()
        self._constraint_attr = constraint_attr
        self._cost_attr = cost_attr
        self._trials: dict[int, _Trial] = {}

    def begin(self, trial_id: int, row: Array) -> None:
        """A trial begins, or goes on; ``row`` is its configuration."""
        trial = self._trials.setdefault(trial_id, _Trial(row))
        trial.running = True
        if trial.is_short:
            trial.shown, trial.is_short = [], False

    def report(self, trial_id: int, result: Mapping[str, Any]) -> None:
        """A trial has reported."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return
        shown = Shown(
            finite_cost(result.get(self._metric), self._sign),
            self._constraint(result),
            self._cost(result),
        )
        trial.cost = max(trial.cost, shown.cost or 0.0)
        trial.last = shown
        if not self.levels:
            return
        resource = result.get(self._resource_attr)
        while isinstance(resource, int | float) and len(trial.shown) < len(self.levels):
            if not resource >= self.levels[len(trial.shown)]:
                break
            trial.shown.append(shown)

    def end(self, trial_id: int) -> None:
        """A trial has ended by itself, was stopped, or pauses."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return
        trial.running = False
        if trial.last is not None and not (self.levels and trial.shown):
            trial.shown, trial.is_short = [trial.last], bool(self.levels)

    def fail(self, trial_id: int) -> None:
        """A trial has failed."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return
        trial.running = False
        if len(trial.shown) < max(1, len(self.levels)):
            trial.shown.append(Shown(math.inf))

    def all(self) -> list[Observation]:
        """Everything that was shown, in order of the trials."""
        return [
            Observation(trial_id, trial.row, level, shown)
            for trial_id, trial in self._trials.items()
            for level, shown in enumerate(trial.shown)
        ]

    def pending(self) -> list[tuple[Array, int]]:
        """Configuration of each running trial, and the number of the level that it will reach next.

        And of those that have ended without a report: what they would have shown is as unknown.
        """
        return [
            (trial.row, len(trial.shown))
            for trial in self._trials.values()
            if (trial.running or not trial.shown) and len(trial.shown) < max(1, len(self.levels))
        ]

    def num_finite(self) -> int:
        """How many trials have shown a finite value."""
        return sum(any(shown.objective < math.inf for shown in trial.shown) for trial in self._trials.values())

    def spent(self) -> float:
        """The sum of what trials have cost so far, by their reports and whatever became of them."""
        return sum(trial.cost for trial in self._trials.values())

    def _constraint(self, result: Mapping[str, Any]) -> float | None:
        if self._constraint_attr is None or self._constraint_attr not in result:
            return None
        return finite_cost(result[self._constraint_attr])

    def _cost(self, result: Mapping[str, Any]) -> float | None:
        if self._cost_attr is None:
            return None
        cost = finite_cost(result.get(self._cost_attr))
        return cost if 0 < cost < math.inf else None
