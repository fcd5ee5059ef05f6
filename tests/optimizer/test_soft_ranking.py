"""Soft rankings and the noise of learning curves, one property at a time."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.optimizer.schedulers import soft_ranking
from cloudtune.optimizer.schedulers.soft_ranking import SoftRanking, SwapNoise
from tests.optimizer import pasha_reference

INF = math.inf


def ranking(*results: tuple[float, float]) -> SoftRanking:
    """A ranking of configurations with the given results at the lower and the upper level."""
    made = SoftRanking()
    for lower, upper in results:
        made.add(lower, upper)
    return made


def noise(*curves: list[float], level: float = INF) -> SwapNoise:
    """The noise of curves that are given from epoch 1 on."""
    made = SwapNoise(level)
    for curve in curves:
        made.add(dict(enumerate(curve, start=1)))
    return made


def test_the_same_order_at_both_levels_has_settled() -> None:
    """However values change, it is the order that counts."""
    assert ranking((3.0, 0.3), (1.0, 0.1), (2.0, 0.2)).has_settled(0.0)
    assert ranking().has_settled(0.0)


def test_a_swap_is_forgiven_up_to_epsilon() -> None:
    """Two that swap places differ by 1 at the lower level: epsilon 1 forgives that, less does not."""
    swapped = ranking((1.0, 0.2), (2.0, 0.1), (9.0, 0.9))
    assert swapped.has_settled(1.0)
    assert not swapped.has_settled(0.99)


def test_infinite_results_are_as_good_as_each_other() -> None:
    """Diverged configurations may change places; one that recovers, or diverges later, has changed its rank."""
    assert ranking((INF, INF), (1.0, 1.0), (INF, INF)).has_settled(0.0)
    assert not ranking((INF, 0.5), (1.0, 1.0)).has_settled(1e300)
    assert not ranking((1.0, INF), (2.0, 1.0)).has_settled(0.5)
    assert not ranking((-1e308, 2.0), (1e308, 1.0)).has_settled(1e308)


def test_equals_at_the_upper_level_rank_in_order_of_arrival() -> None:
    """Of equals the earlier ranks first, so that what has settled does not depend on how a sort breaks ties."""
    assert ranking((1.0, 0.5), (2.0, 0.5)).has_settled(0.0)
    assert not ranking((2.0, 0.5), (1.0, 0.5)).has_settled(0.0)


def test_noise_is_the_last_difference_of_curves_that_swap_back() -> None:
    """One swap is progress, two are noise; what they differ by last is its size."""
    assert noise([1, 2, 3], [2, 1, 1]).epsilon() is None
    assert noise([1, 2, 3], [2, 1, 3.25]).epsilon() == 0.25
    assert noise([2, 1, 3.25], [1, 2, 3]).epsilon() == 0.25


def test_equal_and_missing_values_are_no_swaps() -> None:
    """Values that are equal, not finite or not reported are left out, in looking for the last difference too."""
    assert noise([1, 1, 1, 1], [1, 2, 1, 2]).epsilon() is None
    assert noise([1, 2, 5, 3, 7], [2, 1, INF, 3.5, 7]).epsilon() == 0.5
    made = SwapNoise(INF)
    made.add({1: 1.0, 2: 2.0, 4: 3.0, 5: 9.0})
    made.add({1: 2.0, 2: 1.0, 3: 0.0, 4: 3.25})
    assert made.epsilon() == 0.25


def test_reports_beyond_the_level_are_left_out() -> None:
    """A curve that jumped over the level is compared up to the level only."""
    assert noise([1, 2, 3], [2, 1, 4], level=2).epsilon() is None


def test_epsilon_is_the_90th_percentile() -> None:
    """Of eleven noisy differences it is the tenth smallest, as numpy counts."""
    made = noise([0, 9, 0], *([1, 1, 1 + i / 10] for i in range(11)))
    differences = [1 + i / 10 for i in range(11)]
    assert made.epsilon() == pytest.approx(np.percentile(differences, 90, method="lower"))


def test_huge_values_do_no_harm() -> None:
    """A difference that is no float counts as infinite, and warns nobody."""
    assert noise([1e308, -1e308, 1e308], [-1e308, 1e308, -1e308]).epsilon() == INF


CURVES = st.lists(
    st.dictionaries(st.integers(1, 7), st.sampled_from([0.0, 1.0, 2.0, 2.5, INF]), min_size=1), min_size=1, max_size=14
)


@given(CURVES, st.integers(1, 5), st.integers(1, 7))
def test_epsilon_is_that_of_all_pairs_of_the_window(curves: list[dict[int, float]], window: int, level: int) -> None:
    """Curves with gaps, in any order of reports: epsilon is always that of comparing all pairs anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soft_ranking, "WINDOW", window)
        made = SwapNoise(level)
        for number, curve in enumerate(curves, start=1):
            made.add({float(resource): value for resource, value in curve.items()})
            assert made.epsilon() == pasha_reference.epsilon(curves[:number], level, window)
            made = pickle.loads(pickle.dumps(made))


@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 1.5, 3.0, INF])] * 2), max_size=12), st.sampled_from([0, 0.5, 2])
)
def test_settled_is_as_by_sorting(results: list[tuple[float, float]], epsilon: float) -> None:
    """Adding one by one gives the ranking that sorting everything gives."""
    made = SoftRanking()
    for number, result in enumerate(results, start=1):
        made.add(*result)
        assert made.has_settled(epsilon) == pasha_reference.has_settled(results[:number], epsilon)
        made = pickle.loads(pickle.dumps(made))
