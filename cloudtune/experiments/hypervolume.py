"""The volume that a growing set of points dominates, for two losses or more.

Two losses: the points that are not dominated form a staircase, which is kept sorted. More: what a point adds is its box
up to the reference point without what the earlier ones, moved into that box, dominate of it (While et al. 2012, "A Fast
Way of Calculating Exact Hypervolumes", IEEE Transactions on Evolutionary Computation 16, section III); and that volume
is cut into slices along the last coordinate, each a volume of one dimension less (While et al. 2006, "A Faster
Algorithm for Calculating Hypervolume", ibid. 10).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

Point = Sequence[float]

#: For more losses, exact volumes take too long: the time grows with the front's size to the power of their number.
MAX_LOSSES = 4


def dominated_volumes(points: Iterable[Point], reference: Point) -> list[float]:
    """Volume between the reference point and what the points dominate, after each point.

    All coordinates are losses. Points beyond the reference in one of them, and NaN, add nothing; nor do points that
    another one dominates. With m points that are not dominated, one more takes O(log m) steps for two losses,
    O(m log m) for three, and O(m^2 log m) for four.

    Args:
        points: In the order they came.
        reference: The corner of the volume, two numbers at least.

    Returns:
        The volume after the first point, the second, and so on; never falling.
    """
    if len(reference) == 2:
        return _dominated_areas(points, reference)
    front: list[Point] = []
    volume, volumes = 0.0, []
    for point in points:
        if all(x < corner for x, corner in zip(point, reference, strict=True)):
            volume += _insert_point(front, point, reference)
        volumes.append(volume)
    return volumes


def _insert_point(front: list[Point], point: Point, reference: Point) -> float:
    """Puts a point among those that are not dominated; returns the volume it adds."""
    if any(_covers(other, point) for other in front):
        return 0.0
    inside: list[Point] = [tuple(map(max, other, point)) for other in front]
    front[:] = [other for other in front if not _covers(point, other)]
    front.append(point)
    box = math.prod(corner - x for x, corner in zip(point, reference, strict=True))
    if len(reference) > 3:  # otherwise what follows is quicker than this
        inside = _not_covered(inside)
    return max(0.0, box - _volume(inside, reference))


def _volume(points: list[Point], reference: Point) -> float:
    """The volume that points, all of them below the reference, dominate: slice by slice along the last coordinate."""
    points = sorted(points, key=lambda point: point[-1])
    levels = [*(point[-1] for point in points), reference[-1]]
    areas = dominated_volumes([point[:-1] for point in points], reference[:-1])
    return math.fsum(area * (levels[i + 1] - levels[i]) for i, area in enumerate(areas))


def _covers(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse."""
    return all(a <= b for a, b in zip(one, other, strict=True))


def _not_covered(points: list[Point]) -> list[Point]:
    kept: list[Point] = []
    for point in sorted(points, key=tuple):  # what covers a point comes before it
        if not any(_covers(other, point) for other in kept):
            kept.append(point)
    return kept


def _dominated_areas(points: Iterable[Point], reference: Point) -> list[float]:
    xs: list[float] = []  # rising
    ys: list[float] = []  # falling
    area, areas = 0.0, []
    for x, y in points:
        if x < reference[0] and y < reference[1]:
            area += _insert_step(xs, ys, x, y, reference)
        areas.append(area)
    return areas


def _insert_step(xs: list[float], ys: list[float], x: float, y: float, reference: Point) -> float:
    """Puts a point into the staircase; returns the area it adds."""
    start = bisect_left(xs, x)
    height = ys[start - 1] if start else reference[1]
    if height <= y or (start < len(xs) and xs[start] == x and ys[start] <= y):
        return 0.0
    added, left, end = 0.0, x, start
    while end < len(xs) and ys[end] >= y:
        added += (xs[end] - left) * (height - y)
        left, height = xs[end], ys[end]
        end += 1
    right = xs[end] if end < len(xs) else reference[0]
    added += (right - left) * (height - y)
    xs[start:end] = [x]
    ys[start:end] = [y]
    return added
