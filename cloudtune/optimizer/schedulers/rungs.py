"""Rungs of asynchronous successive halving: the results at one resource level, and the rule for getting past it.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (MLSys), algorithm 2. Every operation
costs O(log n) for n results: a rung keeps its best share in one heap and the rest in another, and never sorts.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right, insort
from collections.abc import Callable
from heapq import heappop, heappush, heappushpop
from typing import Any, Generic, TypeVar

from cloudtune.optimizer.argument_checks import is_comparable

#: A result in a promotion rung: (rank value, order of arrival).
Entry = tuple[float, int]

T = TypeVar("T", float, Entry)


def rank_value(value: Any, maximize: bool) -> float:
    """What a metric value is ranked by: less is better, and NaN and the infinities of either sign are worst.

    Raises:
        TypeError: ``value`` is not a number.
    """
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        finite = False
    if not finite:
        return math.inf
    return -float(value) if maximize else float(value)


def rung_levels(grace_period: int, reduction_factor: float, max_t: int) -> list[int]:
    """The resource levels ``round(grace_period * reduction_factor**k)`` below ``max_t``, and ``max_t`` itself.

    Raises:
        ValueError: There are no such levels.
    """
    if not is_comparable(reduction_factor) or not 1 < reduction_factor < math.inf:
        raise ValueError(f"reduction_factor must be above 1, got {reduction_factor!r}; 3 is a good choice")
    if grace_period < 1:
        raise ValueError(f"grace_period must be at least 1, got {grace_period}")
    if grace_period > max_t:
        raise ValueError(
            f"grace_period={grace_period} is above the maximum resource {max_t}; "
            f"choose a grace_period of {max_t} or less"
        )
    levels = []
    level, exponent = grace_period, 0
    while level < max_t:
        levels.append(level)
        # A factor near 1 gives the same integer many times over: go straight to the next one.
        exponent = max(exponent + 1, math.floor(math.log((level + 0.5) / grace_period, reduction_factor)))
        # In floating point a huge exponent would overflow; everything from max_t on is the same to us.
        if exponent * math.log(reduction_factor) > math.log(max_t / grace_period) + 1:
            break
        while (candidate := round(grace_period * reduction_factor**exponent)) <= level:
            exponent += 1
        level = candidate
    return [*levels, max_t]


def bracket_weights(levels: list[int], brackets: int) -> list[float]:
    """Probabilities of the brackets: bracket ``s`` begins at ``levels[s]`` and goes on to the last level.

    Hyperband gives every bracket the same total resource, hence bracket ``s`` a number of trials proportional to
    1 / (number of its levels * first level) (Li et al. 2017, "Hyperband", JMLR 18, algorithm 1).
    """
    weights = [1 / ((len(levels) - s) * levels[s]) for s in range(brackets)]
    return [weight / sum(weights) for weight in weights]


def _negate_entry(entry: Entry) -> Entry:
    return (-entry[0], -entry[1])


class BestShare(Generic[T]):
    """The best of all items added so far: of n items, the ``floor((n - offset) * share) + offset`` smallest.

    Args:
        numerator, denominator: The share, below 1.
        negate: Turns an item's order round, and is its own inverse.
        offset: 0, or 1 if the best item belongs to the share however few there are.
    """

    __slots__ = ("_best", "_denominator", "_negate", "_numerator", "_offset", "_rest", "size")

    def __init__(self, numerator: int, denominator: int, negate: Callable[[T], T], offset: int = 0) -> None:
        self._numerator = numerator
        self._denominator = denominator
        self._negate: Callable[[T], T] = negate
        self._offset = offset
        self._best: list[T] = []  # heap of negated items: the worst of the best is at the root
        self._rest: list[T] = []
        self.size = 0

    def add(self, item: T) -> None:
        """Adds an item: O(log n)."""
        self.size += 1
        # Grows by one at most, since the share is below 1.
        wanted = (self.size - self._offset) * self._numerator // self._denominator + self._offset
        if wanted > len(self._best):
            heappush(self._best, self._negate(heappushpop(self._rest, item)))
        else:
            heappush(self._rest, self._negate(heappushpop(self._best, self._negate(item))))

    def worst(self) -> T | None:
        """The worst item of the share, or None while the share is empty."""
        return self._negate(self._best[0]) if self._best else None


def best_values(numerator: int, denominator: int) -> BestShare[float]:
    """A share of plain rank values, of which the best belongs to it however few there are."""
    return BestShare(numerator, denominator, operator.neg, offset=1)


class StoppingRung:
    """A rung that trials run through, unless they have diverged or are worse than the best ``level / next_level``.

    Args:
        level: Resource at which results are compared.
        next_level: Resource of the rung above.
    """

    __slots__ = ("_best", "level")

    def __init__(self, level: int, next_level: int) -> None:
        self.level = level
        self._best = best_values(level, next_level)

    def admits(self, value: float) -> bool:
        """Adds a result, and says whether its trial goes on.

        It does if it is no worse than the (floor((n - 1) * level / next_level) + 1)-th best of the n results, its own
        included: the first always goes on. A diverged one, infinity, does not once there is another result, though it
        may equal that worst one: where most trials diverge they would all go on. The first does, since one trial is a
        small price for seeing whether training recovers where all of them begin so.
        """
        self._best.add(value)
        worst = self._best.worst()
        return worst is None or self._best.size == 1 or (value < math.inf and value <= worst)


class PromotionRung:
    """A rung at which trials pause until they are among the best ``floor(n * level / next_level)`` of its n results.

    Those that have diverged (rank value infinity) wait for ever, unless all have: then training may recover.

    Args:
        level: Resource at which trials pause.
        next_level: Resource to which a promoted trial runs.
    """

    __slots__ = ("_all_diverged", "_best", "_ready", "_sorted", "_waiting", "level", "next_level")

    def __init__(self, level: int, next_level: int) -> None:
        self.level = level
        self.next_level = next_level
        self._best: BestShare[Entry] = BestShare(level, next_level, _negate_entry)
        self._waiting: set[int] = set()
        # Everything that waits, best first; what has left since is dropped when it comes to the top.
        self._ready: list[tuple[float, int, int]] = []
        self._sorted: list[Entry] | None = None
        self._all_diverged = True

    def keep_ranks(self) -> None:
        """To be called before the first result if :meth:`rank` will be asked."""
        self._sorted = []

    @property
    def size(self) -> int:
        """Number of results."""
        return self._best.size

    def rank(self, entry: Entry) -> int:
        """The rank of a result among all of this rung, from 1 for the best."""
        assert self._sorted is not None, "ranks are kept"
        return bisect_right(self._sorted, entry)

    def record(self, value: float) -> Entry:
        """Adds a result; of equal ones the earlier ranks first."""
        entry = (value, self._best.size)
        self._best.add(entry)
        if value != math.inf:
            self._all_diverged = False
        if self._sorted is not None:
            insort(self._sorted, entry)
        return entry

    def wait(self, trial_id: int, entry: Entry) -> None:
        """The trial with this result has paused and can be resumed."""
        self._waiting.add(trial_id)
        heappush(self._ready, (*entry, trial_id))

    def leave(self, trial_id: int) -> None:
        """The trial was promoted, or will never run again. Its result stays."""
        self._waiting.discard(trial_id)

    def promotable(self) -> int | None:
        """The best waiting trial if it may be promoted now, else None."""
        ready = self._ready
        while ready and ready[0][2] not in self._waiting:
            heappop(ready)
        if not ready:
            return None
        worst = self._best.worst()
        if worst is None or ready[0][:2] > worst:
            return None
        if ready[0][0] == math.inf and not self._all_diverged:
            return None
        return ready[0][2]
