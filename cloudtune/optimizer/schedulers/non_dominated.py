"""Non-dominated sorting, kept up as points are added, and the order within a front.

Points are losses: less is better in every coordinate. A point dominates another if it is nowhere worse and somewhere
better. The first front holds the points that none dominates, each further front those that only points of earlier
fronts dominate (Deb et al. 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6, section III.A).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

#: So many points of a front are chosen one after the other, each far from all before it.
EXACT = 32


def dominated_by_any(points: Points, others: Points) -> npt.NDArray[np.bool_]:
    """For each of ``points``, shape ``(n, d)``, whether one of ``others``, shape ``(m, d)``, dominates it."""
    below: npt.NDArray[np.bool_] = others[:, None, 0] <= points[None, :, 0]
    equal = others[:, None, 0] == points[None, :, 0]
    for k in range(1, points.shape[1]):  # quicker than one comparison with an axis more
        below &= others[:, None, k] <= points[None, :, k]
        equal &= others[:, None, k] == points[None, :, k]
    dominated: npt.NDArray[np.bool_] = (below & ~equal).any(axis=0)
    return dominated


def spread(points: Points, count: int) -> Numbers:
    """The first ``count`` points of an epsilon-net: each is the one farthest from all before it.

    It begins with the best point in the first coordinate. Distances are measured with each coordinate scaled to the
    range that it has here, so that its unit does not matter; one that is constant, or not finite, counts nothing. Of
    equally far points the earliest comes first.

    After the first 32 the others come all at once, in the order of their distances from these: a net of many would take
    O(n * count) steps at every report, and so it is O(n).

    Source: Salinas et al. 2021, "A Multi-objective Perspective on Jointly Tuning Hardware and Hyperparameters"
    (arXiv:2106.05680), section 3.

    Args:
        points: Shape ``(n, d)``.
        count: At most n.

    Returns:
        Positions in ``points``, shape ``(count,)``.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    varied = np.isfinite(high)
    low, half = low[varied] / 2, points[:, varied] / 2  # halved, since the range of two floats may be no float
    width = high[varied] / 2 - low
    scaled = np.ascontiguousarray(((half - low)[:, width > 0] / width[width > 0]).T)  # sums over axis 0 are quicker
    chosen = np.empty(count, dtype=np.intp)
    farthest = int(np.argmin(points[:, 0]))
    nearest = np.full(len(points), np.inf)
    exact = min(count, EXACT)
    for i in range(exact):
        chosen[i] = farthest
        np.minimum(nearest, ((scaled - scaled[:, [farthest]]) ** 2).sum(axis=0), out=nearest)
        nearest[farthest] = -1.0
        farthest = int(np.argmax(nearest))
    if exact < count:
        chosen[exact:] = np.argsort(-nearest, kind="stable")[: count - exact]
    return chosen


class Fronts:
    """Fronts of a growing set of points.

    A point costs a binary search for its front; the points that it pushes into later fronts are moved there.

    Attributes:
        size: Number of points.
        points: Of each front, the first one first, in no particular order: shape ``(points in the front, d)``.
        numbers: Of each front, in the same order: which point it is, counted from 0 as they were added.
    """

    def __init__(self) -> None:
        self.size = 0
        self.points: list[Points] = []
        self.numbers: list[Numbers] = []

    def add(self, point: Sequence[float]) -> int:
        """Adds a point; returns the front, from 0, to which it belongs."""
        moved = np.array([point], dtype=np.float64)
        numbers = np.array([self.size], dtype=np.intp)
        front = front_of_point = self._front(moved)
        self.size += 1
        while front < len(self.points):
            below = dominated_by_any(self.points[front], moved)
            how_many = np.count_nonzero(below)
            if how_many == len(below):  # all of this front, and hence of those after it, move by one
                break
            stays = ~below
            pushed = self.points[front][below], self.numbers[front][below]
            self.points[front] = np.concatenate([self.points[front][stays], moved])
            self.numbers[front] = np.concatenate([self.numbers[front][stays], numbers])
            if not how_many:
                return front_of_point
            moved, numbers = pushed
            front += 1
        self.points.insert(front, moved)
        self.numbers.insert(front, numbers)
        return front_of_point

    def _front(self, point: Points) -> int:
        """The first front in which nothing dominates the point; after it there is none either."""
        low, high = 0, len(self.points)
        while low < high:
            middle = (low + high) // 2
            others = self.points[middle]
            if ((others <= point).all(axis=1) & (others < point).any(axis=1)).any():
                low = middle + 1
            else:
                high = middle
        return low

    def best(self, front: int, count: int) -> Numbers:
        """Which points of a front are its first ``count`` by :func:`spread`, in that order; earlier added ones first.

        Args:
            front: From 0.
            count: At most as many as the front has points.
        """
        order = np.argsort(self.numbers[front])
        return self.numbers[front][order][spread(self.points[front][order], count)]

    def best_points(self, front: int, count: int) -> Points:
        """The points that :meth:`best` numbers, shape ``(count, d)``."""
        return self.points[front][np.isin(self.numbers[front], self.best(front, count))]
