"""Whether the ranking of configurations has settled between two resource levels, in spite of noise.

Source: Bohdal et al. 2023, "PASHA: Efficient HPO and NAS with Progressive Resource Allocation" (ICLR), on soft ranking
and on how large a difference may be noise. Both are kept up to date result by result. All values are rank values: less
is better, and what is not finite is infinite.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort_right
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from cloudtune.optimizer.schedulers.rungs import BestShare, best_values

#: The share of the differences that may be noise which epsilon is not below (N = 90 in the paper).
PERCENTILE = (9, 10)

#: A configuration is compared with so many that came before it. The paper takes all pairs, which are as many as the
#: square of the configurations; this many for each give the same percentile up to chance, at a cost that does not grow.
WINDOW = 32


class SoftRanking:
    """Configurations that have results at two levels, ranked by either.

    The ranking has settled if, at every place, the configuration that is there at the upper level was, at the lower
    level, as good as the one that was there: up to a difference of epsilon. Of equals at the upper level the earlier
    ranks first.
    """

    __slots__ = ("_lower", "_sorted_lower", "_upper")

    def __init__(self) -> None:
        self._upper = array("d")
        #: Results at the lower level, in the order of those at the upper level; and in their own.
        self._lower = array("d")
        self._sorted_lower = array("d")

    def add(self, lower: float, upper: float) -> None:
        """Adds a configuration with its results at the two levels."""
        place = bisect_right(self._upper, upper)
        self._upper.insert(place, upper)
        self._lower.insert(place, lower)
        insort_right(self._sorted_lower, lower)

    def has_settled(self, epsilon: float) -> bool:
        """Whether the two rankings are the same but for differences of up to ``epsilon`` at the lower level."""
        with np.errstate(invalid="ignore", over="ignore"):  # two infinite results are as good as each other
            differences = np.frombuffer(self._lower) - np.frombuffer(self._sorted_lower)
        return not bool((np.abs(differences) > epsilon).any())


class SwapNoise:
    """How large a difference between two configurations may be noise, judged from those that keep swapping places.

    Two configurations of which now the one and now the other is better, that is, which swap their order and swap it
    back, are as good as each other as far as one can tell. Their last difference is noise, and epsilon the 90th
    percentile of all such differences.

    Args:
        level: Reports beyond this resource are left out.

    Attributes:
        num_pairs: Pairs of curves that have been compared so far.
    """

    __slots__ = ("_curves", "_differences", "_level", "_resources", "_size", "num_pairs")

    def __init__(self, level: float) -> None:
        self._level = level
        self._resources: list[float] = []
        #: A row for each resource, a column for each of the last curves; NaN where a curve has no finite value.
        self._curves: npt.NDArray[np.float64] = np.empty((0, WINDOW))
        self._size = 0
        self._differences: BestShare[float] = best_values(*PERCENTILE)
        self.num_pairs = 0

    def add(self, curve: Mapping[float, float]) -> None:
        """Adds a configuration's results by resource, and compares it with the last ones before it."""
        points = {resource: value for resource, value in curve.items() if resource <= self._level}
        if not points.keys() <= set(self._resources):
            self._make_room(points)
        values = np.array([points.get(resource, np.nan) for resource in self._resources], dtype=np.float64)
        values[np.isinf(values)] = np.nan
        others = self._curves[:, : min(self._size, WINDOW)]
        self.num_pairs += others.shape[1]
        if self._size and len(values) > 2:
            for difference in last_differences_of_swappers(others, values):
                self._differences.add(difference)
        self._curves[:, self._size % WINDOW] = values
        self._size += 1

    def epsilon(self) -> float | None:
        """The 90th percentile (nearest rank, rounded down), or None while no pair has swapped back."""
        return self._differences.worst()

    def _make_room(self, resources: Iterable[float]) -> None:
        """Rows for further resources; those that no curve has any more go."""
        used = np.flatnonzero(~np.isnan(self._curves).all(axis=1))
        kept = [self._resources[i] for i in used]
        rows = self._curves[used]
        self._resources = sorted({*kept, *resources})
        self._curves = np.full((len(self._resources), WINDOW), np.nan)
        self._curves[[self._resources.index(resource) for resource in kept]] = rows


def last_differences_of_swappers(others: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> list[float]:
    """The last differences other than 0 from those curves that were better, worse and better, or the other way round.

    Args:
        others: Curves, of shape (resources, n); NaN where there is no value.
        values: One curve, of shape (resources,), for the same increasing resources.
    """
    with np.errstate(over="ignore"):
        differences = others - values[:, None]
    signs = np.greater(differences, 0).view(np.int8) - np.less(differences, 0).view(np.int8)
    filled = signs if signs.all() else _filled(signs)
    swaps = np.less(filled[1:] * filled[:-1], 0).sum(axis=0)
    found = np.flatnonzero(swaps >= 2)
    if not found.size:
        return []
    last = len(signs) - 1 - np.argmax(signs[::-1, found] != 0, axis=0)
    return np.abs(differences[last, found]).tolist()  # type: ignore[no-any-return]


def _filled(signs: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Signs by (resource, curve) in which every 0 is replaced by the sign before it, if there is one."""
    known = np.where(signs != 0, np.arange(len(signs))[:, None], 0)
    return np.take_along_axis(signs, np.maximum.accumulate(known, axis=0), axis=0)
