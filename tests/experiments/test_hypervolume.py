"""The volume that a growing set of points dominates."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.experiments import hypervolume
from cloudtune.experiments.hypervolume import dominated_volumes

Point = tuple[int, ...]

#: Dimension, and the reference point's coordinates: few cells, since these are counted.
SIZES = {2: 10, 3: 6, 4: 4}


def points_of(dimension: int) -> st.SearchStrategy[list[Point]]:
    """Points inside and beyond the reference, with many ties."""
    coordinate = st.integers(0, SIZES[dimension] + 1)
    return st.lists(st.tuples(*[coordinate] * dimension), max_size=20)


@pytest.mark.defect("E8")
@settings(max_examples=60)
@given(st.sampled_from([2, 3, 4]).flatmap(points_of))
def test_volumes_are_exact(points: list[Point]) -> None:
    """After each point the volume is the number of unit cells that some point so far dominates."""
    dimension = len(points[0]) if points else 2
    corner = SIZES[dimension]
    volumes = dominated_volumes([tuple(map(float, point)) for point in points], (corner,) * dimension)
    cells: set[Point] = set()
    for point, volume in zip(points, volumes, strict=True):
        cells |= set(itertools.product(*(range(x, corner) for x in point)))
        assert volume == len(cells)


@pytest.mark.defect("E8")
@pytest.mark.parametrize("dimension", [2, 3, 4])
def test_no_prefix_is_computed_again(dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are read once, and what is dominated by then costs no volume, however many points came before."""
    volumes_computed: list[int] = []
    volume = hypervolume._volume

    def counted(points: list[hypervolume.Point], reference: hypervolume.Point) -> float:
        if len(reference) == dimension:
            volumes_computed.append(len(points))
        return volume(points, reference)

    monkeypatch.setattr(hypervolume, "_volume", counted)
    rng = random.Random(0)
    points = [tuple(rng.random() for _ in range(dimension)) for _ in range(300)]
    not_dominated = sum(
        not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in points[:i])
        for i, point in enumerate(points)
    )
    volumes = dominated_volumes(iter(points), (1.0,) * dimension)
    assert volumes == sorted(volumes)
    assert len(volumes) == 300
    assert len(volumes_computed) == (0 if dimension == 2 else not_dominated)
    assert max(volumes_computed, default=0) < not_dominated < 150


@pytest.mark.parametrize("dimension", [2, 3, 4])
def test_points_that_are_no_use_add_nothing(dimension: int) -> None:
    """NaN, infinite losses, and what lies beyond the reference or on its edge."""
    useless = [math.nan, math.inf, 1.0, 2.0]
    points = [(x,) + (0.0,) * (dimension - 1) for x in useless] + [(0.0,) * (dimension - 1) + (x,) for x in useless]
    assert dominated_volumes([*points, (0.5,) * dimension], (1.0,) * dimension) == [0.0] * 8 + [0.5**dimension]
