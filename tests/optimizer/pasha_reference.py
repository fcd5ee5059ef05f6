"""PASHA written down naively, from the paper: rankings are sorted, and all pairs compared, anew at every report.

Bohdal et al. 2023, "PASHA: Efficient HPO and NAS with Progressive Resource Allocation", algorithm 1. There are rungs
0, 1, ..., and the top one, K, is 1 at first. Promotions are ASHA's, from rung K - 1 down. Whenever a configuration
arrives at rung K, all that are there are ranked by their results at K and by their results at K - 1. At every place the
configuration that is there by K must have, at K - 1, a result within epsilon of the one that is there by K - 1; if not,
K grows by one. Epsilon is the 90th percentile of the last differences of all pairs at rung K whose learning curves, up
to that rung, cross at least twice (c better than c', then worse, then better).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

from tests.optimizer.asha_reference import Reference

Curve = dict[int, float]


def last_difference_of_swappers(one: Curve, other: Curve, level: int) -> float | None:
    """The last difference between two curves up to a level, or None if they do not cross twice."""
    common = sorted(resource for resource in one.keys() & other.keys() if resource <= level)
    finite = [r for r in common if math.isfinite(one[r]) and math.isfinite(other[r])]
    differences = [one[r] - other[r] for r in finite if one[r] != other[r]]
    # All ways to choose three levels, as in the definition.
    for a, b, c in combinations(differences, 3):
        if (a > 0) == (c > 0) != (b > 0):
            return abs(differences[-1])
    return None


def epsilon(curves: list[Curve], level: int, window: int) -> float | None:
    """The 90th percentile over the pairs that are at most ``window`` places apart in order of arrival."""
    pairs = [(i, j) for i, j in combinations(range(len(curves)), 2) if j - i <= window]
    found = [last_difference_of_swappers(curves[i], curves[j], level) for i, j in pairs]
    noise = sorted(difference for difference in found if difference is not None)
    return noise[(len(noise) - 1) * 9 // 10] if noise else None


def has_settled(results: list[tuple[float, float]], epsilon: float) -> bool:
    """Whether configurations, given by their results below and at the top, are ranked alike up to epsilon."""
    by_top = sorted(results, key=lambda result: result[1])
    by_lower = sorted(results, key=lambda result: result[0])
    pairs = [(there[0], below[0]) for there, below in zip(by_top, by_lower, strict=True)]
    return all(there == below or abs(there - below) <= epsilon for there, below in pairs)


class PashaReference(Reference):
    """Follows a course of events, and says what PASHA with one bracket must answer.

    Args:
        levels, ends_itself, maximize: See :class:`Reference`.
        window: See :func:`epsilon`; infinite in the paper.
    """

    def __init__(self, levels: list[int], ends_itself: bool, maximize: bool, window: int) -> None:
        super().__init__(levels, ends_itself, maximize)
        self.window = window
        self.top = 1
        self.epsilon = 0.0
        self.curves: dict[int, Curve] = {}

    def reported(self, trial: int, resource: int, value: Any) -> str:
        """The decision on a report."""
        self.curves.setdefault(trial, {}).setdefault(resource, self._rank(value))
        return self.counted(trial, resource, value)

    def counted(self, trial: int, resource: int, value: Any) -> str:
        """The decision on a result that counts at a resource; the curve is what was reported."""
        reached = self.reached.get(trial, 0)
        decision = self.pausing_at(trial, resource, value)
        for rung in range(reached, self.reached[trial]):
            if rung == self.top:
                self._arrived()
        return decision

    def _arrived(self) -> None:
        """A configuration has come to the top rung."""
        lower = {trial: value for value, trial in self.rungs[self.top - 1]}
        results = [(lower[trial], value) for value, trial in self.rungs[self.top]]
        curves = [self.curves[trial] for _, trial in self.rungs[self.top]]
        estimate = epsilon(curves, self.levels[self.top], self.window)
        self.epsilon = self.epsilon if estimate is None else estimate
        if not has_settled(results, self.epsilon):
            self.top += 1

    def open_rungs(self) -> int:
        """The rungs below the top one."""
        return min(self.top, len(self.rungs))
