"""Rung levels, bracket weights, and the heaps behind a rung."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.optimizer.schedulers.rungs import (
    BestShare,
    PromotionRung,
    StoppingRung,
    best_values,
    bracket_weights,
    rank_value,
    rung_levels,
)


def test_rung_levels_are_geometric_and_end_at_the_maximum() -> None:
    """Levels are the rounded powers below the maximum, which comes last even where it is no power."""
    assert rung_levels(1, 3, 27) == [1, 3, 9, 27]
    assert rung_levels(1, 3, 28) == [1, 3, 9, 27, 28]
    assert rung_levels(2, 2.5, 40) == [2, 5, 12, 31, 40]
    assert rung_levels(5, 3, 5) == [5]


@given(st.integers(1, 50), st.one_of(st.floats(1, 1.5, exclude_min=True), st.floats(1.5, 1e308)), st.integers(1, 500))
def test_rung_levels_are_as_defined_for_any_factor(grace_period: int, reduction_factor: float, max_t: int) -> None:
    """Levels increase strictly, for factors so near to 1 that integers repeat and so large that powers overflow."""
    if grace_period > max_t:
        return
    levels = rung_levels(grace_period, reduction_factor, max_t)
    assert levels[-1] == max_t
    assert all(a < b for a, b in pairwise(levels))
    if reduction_factor > 1.01:
        expected, power = set(), 0
        while power * math.log(reduction_factor) < 10:
            expected.add(round(grace_period * reduction_factor**power))
            power += 1
        assert set(levels[:-1]) == {level for level in expected if level < max_t}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1, 27), "reduction_factor must be above 1, got 1"),
        ((1, math.nan, 27), "reduction_factor must be above 1, got nan"),
        ((1, math.inf, 27), "reduction_factor must be above 1, got inf"),
        ((0, 3, 27), "grace_period must be at least 1"),
        ((28, 3, 27), "grace_period=28 is above the maximum resource 27; choose a grace_period of 27 or less"),
    ],
)
def test_impossible_levels_are_refused(arguments: tuple[int, float, int], message: str) -> None:
    """What makes no levels is refused, with the value and the remedy."""
    with pytest.raises(ValueError, match=message):
        rung_levels(*arguments)


def test_bracket_weights_share_the_resource_equally() -> None:
    """Trials of bracket s cost its first level once for each of its levels: weight times cost is the same for all."""
    levels = [1, 3, 9, 27]
    weights = bracket_weights(levels, 4)
    assert sum(weights) == pytest.approx(1)
    costs = [weight * levels[s] * (len(levels) - s) for s, weight in enumerate(weights)]
    assert costs == pytest.approx([costs[0]] * 4)
    assert bracket_weights(levels, 1) == [1]


@given(st.lists(st.integers(-5, 5)), st.integers(1, 4), st.integers(1, 5), st.integers(0, 1))
def test_a_best_share_holds_the_smallest_items(items: list[int], a: int, b: int, offset: int) -> None:
    """Whatever the order of arrival, the worst of the share is what sorting would find."""
    numerator, denominator = min(a, b), max(a, b) + 1
    share = BestShare(numerator, denominator, lambda item: -item, offset)
    assert share.worst() is None
    for n in range(1, len(items) + 1):
        share.add(float(items[n - 1]))
        size = (n - offset) * numerator // denominator + offset
        assert share.worst() == (sorted(items[:n])[size - 1] if size else None)
        assert share.size == n


def test_the_first_at_a_stopping_rung_goes_on() -> None:
    """Alone a trial cannot be compared, be its value what it may."""
    assert StoppingRung(1, 3).admits(math.inf)


def test_a_stopping_rung_admits_the_best_share_and_ties() -> None:
    """Of four results at level 1 of 3 the best two go on, and so does one that equals the second."""
    rung = StoppingRung(1, 3)
    assert [rung.admits(value) for value in (3.0, 2.0, 1.0, 2.0, 2.5)] == [True, True, True, True, False]


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, math.inf, math.inf, math.inf]), max_size=30), st.integers(2, 4))
def test_a_diverged_result_passes_no_stopping_rung_but_an_empty_one(values: list[float], eta: int) -> None:
    """However few results are finite, infinity gets past only if it is the first; the finite ones pass as they rank."""
    rung = StoppingRung(1, eta)
    for n, value in enumerate(values, start=1):
        worst = sorted(values[:n])[(n - 1) // eta]
        assert rung.admits(value) == (n == 1 or (value <= worst and value < math.inf))


def test_equal_results_are_promoted_in_order_of_arrival() -> None:
    """Of equal results at a promotion rung the one that came first is promoted first, even if it paused later."""
    rung = PromotionRung(1, 3)
    entries = [rung.record(1.0) for _ in range(6)]
    for trial_id in (1, 0, 2):
        rung.wait(trial_id, entries[trial_id])
    assert rung.promotable() == 0
    rung.leave(0)
    assert rung.promotable() == 1
    rung.leave(1)
    assert rung.promotable() is None


def test_a_promoted_result_still_takes_its_place() -> None:
    """Promotion frees no place among the best: the rung must grow before another trial is promoted."""
    rung = PromotionRung(1, 3)
    for trial_id in range(3):
        rung.wait(trial_id, rung.record(float(trial_id)))
    rung.leave(0)
    assert rung.promotable() is None
    for trial_id in range(3, 6):
        rung.wait(trial_id, rung.record(float(trial_id)))
    assert rung.promotable() == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -(10**400)])
@pytest.mark.parametrize("maximize", [False, True])
def test_values_that_are_not_finite_rank_worst(value: float, maximize: bool) -> None:
    """NaN, the infinities and what no float holds are behind every finite value, in both modes."""
    assert rank_value(value, maximize) == math.inf
    assert rank_value(-1e308, maximize) < rank_value(value, maximize)
    assert rank_value(1e308, maximize) < rank_value(value, maximize)


def test_the_mode_turns_the_ranking_round() -> None:
    """Less is better with "min" and worse with "max"."""
    assert rank_value(1, False) < rank_value(2, False)
    assert rank_value(1, True) > rank_value(2, True)


def test_what_is_no_number_cannot_be_ranked() -> None:
    """A string is refused even if it looks like a number."""
    with pytest.raises(TypeError):
        rank_value("0.5", False)


def test_a_share_may_be_any_float() -> None:
    """The exact ratio of a float serves as a share: 0.1 of 11 others and itself leaves two."""
    share = best_values(*(0.1).as_integer_ratio())
    for value in range(12):
        share.add(float(value))
    assert share.worst() == 1
