"""Non-dominated sorting that is kept up, against sorting anew; and the order within a front."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.optimizer.schedulers.non_dominated import EXACT, Fronts, spread

Point = tuple[float, ...]

SMALL = st.integers(0, 6).map(float)


def point_lists(dimension: int) -> st.SearchStrategy[list[Point]]:
    """Points with many ties and duplicates; some are infinite everywhere, as results are that cannot be ranked."""
    points = st.one_of(st.tuples(*[SMALL] * dimension), st.just((math.inf,) * dimension))
    return st.lists(points, max_size=40)


POINTS = st.integers(1, 4).flatmap(point_lists)


def dominates(a: Point, b: Point) -> bool:
    """The definition."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def sorted_anew(points: list[Point]) -> list[set[int]]:
    """Fronts by the definition: what none of the rest dominates, again and again."""
    rest, fronts = set(range(len(points))), []
    while rest:
        fronts.append({i for i in rest if not any(dominates(points[j], points[i]) for j in rest)})
        rest -= fronts[-1]
    return fronts


@given(POINTS)
def test_fronts_are_those_of_sorting_anew(points: list[Point]) -> None:
    """After each point the fronts are what the definition gives, and the answer is the point's own front."""
    fronts = Fronts()
    for n, point in enumerate(points, start=1):
        answer = fronts.add(point)
        expected = sorted_anew(points[:n])
        assert [set(numbers.tolist()) for numbers in fronts.numbers] == expected
        assert n - 1 in expected[answer]
    for numbers, there in zip(fronts.numbers, fronts.points, strict=True):
        assert [points[number] for number in numbers] == [tuple(point) for point in there.tolist()]


def test_a_point_that_beats_all_moves_every_front() -> None:
    """The new best stands alone in the first front, and the others stay apart as they were."""
    fronts = Fronts()
    assert [fronts.add(point) for point in [(1, 1), (2, 2), (3, 3), (0, 0)]] == [0, 1, 2, 0]
    assert [numbers.tolist() for numbers in fronts.numbers] == [[3], [0], [1], [2]]


@given(st.lists(st.tuples(SMALL, SMALL, SMALL), min_size=1, max_size=25, unique=True))
def test_each_point_of_the_net_is_the_farthest(points: list[Point]) -> None:
    """The order begins with the best in the first coordinate, and goes on with what lies farthest from all before."""
    array = np.array(points)
    width = np.ptp(array, axis=0)
    scaled = array[:, width > 0] / width[width > 0]
    order = spread(array, len(points)).tolist()
    assert sorted(order) == list(range(len(points)))
    assert array[order[0], 0] == array[:, 0].min()
    for i in range(1, len(order)):
        gaps = [min(np.linalg.norm(scaled[j] - scaled[k]) for k in order[:i]) for j in order[i:]]
        assert gaps[0] == pytest.approx(max(gaps))


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90))
def test_of_many_points_the_first_are_a_net_and_the_others_are_those_far_from_it(
    seed: int, size: int, count: int
) -> None:
    """What comes after the first ones is ordered by how far it is from these, and each point comes once."""
    points = np.random.default_rng(seed).integers(0, 30, (size, 2)).astype(float)
    count = min(count, size)
    order = spread(points, count).tolist()
    net = order[:EXACT]
    assert spread(points, len(net)).tolist() == net
    scaled = points / np.maximum(np.ptp(points, axis=0), 1)
    distances = ((scaled[:, None] - scaled[net]) ** 2).sum(axis=2).min(axis=1).round(12)
    rest = sorted(set(range(size)) - set(net), key=lambda number: (-distances[number], number))
    assert [distances[number] for number in order[EXACT:]] == [distances[number] for number in rest[: count - len(net)]]
    assert len(set(order)) == count


def test_a_wide_front_costs_no_net_of_all_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many points may go on, the farthest one is looked for as often as for a few."""
    searches = []
    argmax = np.argmax

    def counted(values: Any) -> Any:
        searches.append(len(values))
        return argmax(values)

    monkeypatch.setattr(np, "argmax", counted)
    ramp = np.arange(900.0)
    spread(np.stack([ramp, -ramp], axis=1), 300)
    assert len(searches) == EXACT


@given(
    st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=25),
    st.tuples(st.integers(-300, 300), st.integers(-300, 300)),
)
def test_the_net_does_not_depend_on_units(points: list[Point], exponents: tuple[int, int]) -> None:
    """A coordinate in other units, a hundred orders of magnitude larger or smaller, changes nothing."""
    array = np.array(points)
    assert spread(array, len(array)).tolist() == spread(np.ldexp(array, exponents), len(array)).tolist()


def test_numbers_at_the_ends_of_floating_point() -> None:
    """Ranges that no float holds, or next to nothing, and infinite points make neither warnings nor NaN."""
    for points in ([(-1.7e308, 1.7e308), (0.0, 0.0), (1.7e308, -1.7e308)], [(0.0, 5e-324), (5e-324, 0.0), (0.0, 0.0)]):
        assert sorted(spread(np.array(points), 3).tolist()) == [0, 1, 2]
    assert spread(np.full((3, 2), np.inf), 3).tolist() == [0, 1, 2]


def test_of_equal_points_the_first_added_comes_first() -> None:
    """Whatever order a front keeps its points in."""
    fronts = Fronts()
    for point in [(5.0, 5.0), (0.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (1.0, 0.0)]:
        fronts.add(point)
    assert fronts.best(0, 5).tolist() == [1, 2, 3, 4, 5]
    assert fronts.best_points(0, 2).tolist() == [[0.0, 1.0], [1.0, 0.0]]
