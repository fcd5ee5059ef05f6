"""One bracket of synchronous successive halving: a rung is filled, and when all of it has ended, its best go on.

Source: Li et al. 2017, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18, algorithm 1.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence

from cloudtune.trial import Config


def rung_sizes(levels: Sequence[int], num_levels: int) -> list[int]:
    """How many trials each rung of a bracket takes, so that all brackets use about the same resource.

    With s + 1 levels from r to R, and s_max + 1 in the bracket that has most, algorithm 1 begins
    n = ceil((s_max + 1) / (s + 1) * R / r) trials, of which floor(n * r / r_i) reach level r_i.

    Args:
        levels: Levels of this bracket, the maximum resource last.
        num_levels: Number of levels of the bracket that has most.
    """
    first = -(-num_levels * levels[-1] // (len(levels) * levels[0]))
    return _sizes(first, levels)


def _sizes(first: int, levels: Sequence[int]) -> list[int]:
    return [max(1, first * levels[0] // level) for level in levels]


class Place:
    """Where a trial stands.

    Args:
        trial_id: The trial.
        halving: The bracket it belongs to.
        config: Its configuration.

    Attributes:
        level: The resource at which its rung is compared.
        resource: The resource at which it was compared last; 0 at first.
        result: What it ranks by among those of its rung: its rank value there, and the number of results before.
        runs: Whether it runs (which it still does while it pauses).
        is_pausing: Whether it was told to pause.
        is_ending: Whether it has reached the maximum resource.
    """

    __slots__ = ("config", "halving", "is_ending", "is_pausing", "level", "resource", "result", "runs", "trial_id")

    def __init__(self, trial_id: int, halving: Halving, config: Config) -> None:
        self.trial_id = trial_id
        self.halving = halving
        self.config = config
        self.level = halving.levels[0]
        self.resource: float = 0
        self.result = (math.inf, 0)
        self.runs = True
        self.is_pausing = False
        self.is_ending = False


class Halving:
    """A bracket: rungs that are filled one after another.

    A trial that fails, or ends without a result at its level, has used its place in the rung and does not go on; the
    best of the others do, as many as the next rung takes.

    Args:
        levels: Increasing resource levels, the maximum last.
        sizes: Trials at each level.

    Attributes:
        ready: Trials to be resumed now, best first.
        expendable: Trials that have paused and will never be resumed; who has taken notice clears it.
    """

    def __init__(self, levels: Sequence[int], sizes: Sequence[int]) -> None:
        self.levels = list(levels)
        self.sizes = list(sizes)
        self.ready: deque[Place] = deque()
        self.expendable: list[Place] = []
        self._rung = 0
        self._num_begun = 0
        self._num_running = 0
        self._num_results = 0
        #: Trials that wait at the level of this rung, best first.
        self._waiting: list[Place] = []

    @property
    def takes_new(self) -> bool:
        """Whether further trials begin here."""
        return self._rung == 0 and self._num_begun < self.sizes[0]

    @property
    def is_over(self) -> bool:
        """Whether no trial of this bracket runs or will run."""
        return not (self.takes_new or self._num_running or self.ready or self._waiting)

    @property
    def can_be_cut(self) -> bool:
        """Whether it could go on without the further trials that it takes: some wait, and none runs."""
        return self.takes_new and not self._num_running and bool(self._waiting)

    def begin(self) -> None:
        """A new trial, suggested for this bracket, takes its place in the first rung."""
        self._num_begun += 1
        self._num_running += 1

    def resume(self, place: Place) -> None:
        """A trial that is ready runs again."""
        self.ready.remove(place)
        self._num_running += 1
        place.runs = True
        place.is_pausing = False

    def record(self, place: Place, resource: float, value: float) -> None:
        """A running trial has a result at the level of its rung, or at the maximum resource."""
        place.resource = resource
        place.result = (value, self._num_results)
        self._num_results += 1
        place.is_ending = resource >= self.levels[-1]
        place.is_pausing = not place.is_ending

    def end(self, place: Place, waits: bool) -> None:
        """A trial has ended; ``waits``: it has paused, and can be resumed. Or it had, and cannot be any more."""
        if place.runs:
            place.runs = False
            self._num_running -= 1
            if waits:
                insort(self._waiting, place, key=_result)
        elif not waits:
            for places in (self.ready, self._waiting):
                if place in places:
                    places.remove(place)
        self._fill_next()

    def cut(self) -> None:
        """No further trial begins, if it can be cut: the bracket goes on as one that was made for those it has."""
        if self.can_be_cut:
            self.sizes = _sizes(self._num_begun, self.levels)
            self._fill_next()

    def _fill_next(self) -> None:
        """Fills the next rung if this one has ended. A trial that has jumped over its level need not run for it."""
        while self._waiting and not (self.takes_new or self._num_running or self.ready):
            self._rung += 1
            level, size = self.levels[self._rung], self.sizes[self._rung]
            best, others = self._waiting[:size], self._waiting[size:]
            self.expendable.extend(others)
            for place in best:
                place.level = level
            self._waiting = [place for place in best if place.resource >= level]
            self.ready.extend(place for place in best if place.resource < level)


def _result(place: Place) -> tuple[float, int]:
    return place.result
