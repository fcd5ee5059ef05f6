"""Asynchronous successive halving written down naively, from the paper: everything is sorted anew every time.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2 (``get_job``): from the top rung
down, the candidates are the best 1/eta of a rung's results, and the first of them not promoted yet is promoted.
"""

from __future__ import annotations

import math
from typing import Any


class Reference:
    """Follows a course of events, and says what a scheduler with one bracket must answer.

    Args:
        levels: Rung levels, the maximum resource last.
        ends_itself: Whether scripts end by themselves at the maximum resource.
        maximize: Whether larger is better.
    """

    def __init__(self, levels: list[int], ends_itself: bool, maximize: bool) -> None:
        self.levels = levels
        self.ends_itself = ends_itself
        self.maximize = maximize
        #: For each rung the results in order of arrival: (rank value, trial).
        self.rungs: list[list[tuple[float, int]]] = [[] for _ in levels[:-1]]
        self.reached: dict[int, int] = {}
        #: Trials that wait, with the number of their rung.
        self.waiting: dict[int, int] = {}
        self.pausing: dict[int, int] = {}

    def _rank(self, value: float) -> float:
        if not math.isfinite(value):
            return math.inf
        return -value if self.maximize else value

    def _newly_reached(self, trial: int, resource: int) -> list[int]:
        begin = self.reached.get(trial, 0)
        end = sum(level <= resource for level in self.levels[:-1])
        self.reached[trial] = max(begin, end)
        return list(range(begin, end))

    def _at_the_end(self, resource: int, otherwise: str) -> str:
        if resource > self.levels[-1] or (resource == self.levels[-1] and not self.ends_itself):
            return "STOP"
        return otherwise

    def stopping(self, trial: int, resource: int, value: Any) -> str:
        """The decision on a report, for ``type="stopping"``."""
        answer = "CONTINUE"
        for rung in self._newly_reached(trial, resource):
            self.rungs[rung].append((self._rank(value), trial))
            values = sorted(entry[0] for entry in self.rungs[rung])
            rank = (len(values) - 1) * self.levels[rung] // self.levels[rung + 1] + 1
            # The paper has no diverged results: one that is not alone goes no further.
            if self._rank(value) > values[rank - 1] or (self._rank(value) == math.inf and len(values) > 1):
                answer = "STOP"
        return self._at_the_end(resource, answer)

    def pausing_at(self, trial: int, resource: int, value: Any) -> str:
        """The decision on a report, for ``type="promotion"``."""
        rungs = self._newly_reached(trial, resource)
        for rung in rungs:
            self.rungs[rung].append((self._rank(value), trial))
        if not rungs or resource >= self.levels[-1]:
            return self._at_the_end(resource, "CONTINUE")
        self.pausing[trial] = rungs[-1]
        return "PAUSE"

    def ended(self, trial: int) -> None:
        """The trial has ended: it waits if it was told to pause."""
        if trial in self.pausing:
            self.waiting[trial] = self.pausing.pop(trial)

    def failed(self, trial: int) -> None:
        """The trial has failed and will not run again."""
        self.pausing.pop(trial, None)

    def open_rungs(self) -> int:
        """Trials may be promoted from so many rungs, counted from the lowest."""
        return len(self.rungs)

    def promotion(self) -> tuple[int, int] | None:
        """The trial to promote now, with the level it may run to, or None. It is promoted."""
        for rung in reversed(range(self.open_rungs())):
            results = self.rungs[rung]
            order = sorted(range(len(results)), key=lambda i: (results[i][0], i))
            for i in order[: len(results) * self.levels[rung] // self.levels[rung + 1]]:
                trial = results[i][1]
                if self.waiting.get(trial) == rung:
                    del self.waiting[trial]
                    return trial, self.levels[rung + 1]
        return None
