"""What trials have shown so far: their costs, at the rung levels that a scheduler compares them at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cloudtune.optimizer.goal import Goal

Costs = tuple[float, ...]


def finite_cost(value: Any, sign: float = 1.0) -> float:
    """``sign * value`` as a float; infinity for what is no finite number: NaN, the infinities, what no float holds."""
    try:
        cost = sign * float(value)
    except (OverflowError, TypeError, ValueError):
        return math.inf
    return cost if math.isfinite(cost) else math.inf


class ObservedCosts:
    """Costs of the trials, one for each metric: lower is better, and infinite for what is no finite number.

    Where there are rung levels, a trial's costs at a level are those of the first report at or beyond it; a trial that
    ends before the first has the costs of its last report there, unless it goes on. Otherwise there is one level, and a
    trial's costs are those of its last report, once it has ended, by itself or stopped.

    Args:
        goal: The metrics, and the levels.
    """

    def __init__(self, goal: Goal) -> None:
        self._metrics = [(metric, goal.cost_sign(metric)) for metric in goal.metrics]
        self._resource_attr = goal.resource_attr or ""
        self._levels = goal.levels if goal.resource_attr else ()
        # Of each level, from the lowest: costs by trial.
        self._costs: list[dict[int, Costs]] = [{} for _ in self._levels or (0,)]
        #: Costs of the last report of each trial, and its resource (where that is not known: the number of reports).
        self.last: dict[int, tuple[Costs, float]] = {}
        #: Trials that have failed. Whatever they had reported does not count.
        self.failed: set[int] = set()
        #: Trials that have ended, or paused, since their last report.
        self.ended: set[int] = set()
        # Those that ended before their first level.
        self._short: set[int] = set()

    def report(self, trial_id: int, result: Mapping[str, Any]) -> None:
        """A trial has reported."""
        costs = tuple(finite_cost(result.get(metric), sign) for metric, sign in self._metrics)
        resource = result.get(self._resource_attr)
        if not isinstance(resource, int | float):
            resource = self.last.get(trial_id, (costs, 0.0))[1] + 1
        self.last[trial_id] = costs, resource
        self.ended.discard(trial_id)
        if trial_id in self._short:
            self._short.remove(trial_id)
            del self._costs[0][trial_id]
        for level, at_level in zip(self._levels, self._costs, strict=False):
            if not resource >= level:
                break
            at_level.setdefault(trial_id, costs)

    def end(self, trial_id: int) -> None:
        """A trial has ended, or pauses."""
        self.ended.add(trial_id)
        if trial_id in self.last and not (self._levels and trial_id in self._costs[0]):
            self._costs[0][trial_id] = self.last[trial_id][0]
            if self._levels:
                self._short.add(trial_id)

    def fail(self, trial_id: int) -> None:
        """A trial has failed."""
        self.failed.add(trial_id)

    def at_own_highest(self) -> dict[int, Costs]:
        """Costs by trial, each at the highest level that it has reached; also of those that have failed since."""
        reached: dict[int, Costs] = {}
        for at_level in self._costs:
            reached.update(at_level)
        return reached

    def worst(self) -> Costs:
        """The highest finite cost of each metric, whoever had it at whichever level; () if there is none."""
        finite = [costs for at_level in self._costs for costs in at_level.values() if all(map(math.isfinite, costs))]
        return tuple(map(max, zip(*finite, strict=True)))

    def at_highest(self, enough: int) -> dict[int, Costs]:
        """Costs by trial at the highest level where those of ``enough`` are finite; {} if there is no such level.

        Falkner et al. 2018, "BOHB" (ICML), section 3: the model is of the highest resource with enough observations.
        """
        for at_level in reversed(self._costs):
            known = {trial: costs for trial, costs in at_level.items() if trial not in self.failed}
            if sum(all(map(math.isfinite, costs)) for costs in known.values()) >= enough:
                return known
        return {}
