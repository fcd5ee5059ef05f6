"""The area that a growing set of points dominates, for two losses."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable


def dominated_areas(points: Iterable[tuple[float, float]], reference: tuple[float, float]) -> list[float]:
    """Area between the reference point and what the points dominate, after each point.

    Both coordinates are losses. Points beyond the reference in either coordinate add nothing. The points that are not
    dominated form a staircase, which is kept sorted: a point costs a binary search and the steps that it removes, so
    all of them together cost O(n log n) comparisons.

    Args:
        points: In the order they came.
        reference: Upper right corner of the area.

    Returns:
        The area after the first point, the second, and so on; never falling.
    """
    xs: list[float] = []  # rising
    ys: list[float] = []  # falling
    area, areas = 0.0, []
    for x, y in points:
        if x < reference[0] and y < reference[1]:
            area += _insert(xs, ys, x, y, reference)
        areas.append(area)
    return areas


def _insert(xs: list[float], ys: list[float], x: float, y: float, reference: tuple[float, float]) -> float:
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
