"""What failed and diverged trials do to the targets of the others: little, however many they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudtune.optimizer.searchers.bayesian.targets import objective_targets, usual

Array = npt.NDArray[np.float64]

GOOD = st.lists(st.integers(-300, 300).map(lambda hundredths: hundredths / 100), min_size=2, max_size=30)
FAILED = st.sampled_from([math.inf, -math.inf, math.nan])
BAD = st.lists(FAILED | st.floats(1e9, 1e300), min_size=1, max_size=80)


def targets(values: Any) -> Array:
    """Of values at one level."""
    return objective_targets(np.array(values, dtype=float), np.zeros(len(values), dtype=np.int64))


@given(GOOD, BAD)
def test_bad_trials_leave_the_others_a_spread(good: list[float], bad: list[float]) -> None:
    """However many have failed or are huge: the others keep their order and more than a quarter of their deviation."""
    alone, all_of_them = targets(good), targets([*good, *bad])
    assert np.isfinite(all_of_them).all()
    beside = all_of_them[: len(good)]
    assert beside.std() >= 0.25 * alone.std()
    order = np.argsort(good, kind="stable")
    assert ((np.diff(beside[order]) > 0) == (np.diff(np.array(good)[order]) > 0)).all()
    assert all_of_them[len(good) :].min() >= beside.max()


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=20),
    st.lists(st.integers(10**10, 10**12), max_size=20),
    st.integers(-1000, 1000),
    st.integers(-40, 40),
)
def test_units_and_offsets_do_not_matter(good: list[int], huge: list[int], shift: int, exponent: int) -> None:
    """Values in another unit, and with another zero, have the same targets."""
    assume(len(set(good)) > 1)
    values = np.array([*good, *huge], dtype=float)
    moved = (values + shift) * 2.0**exponent
    assert targets(moved) == pytest.approx(targets(values), abs=1e-6)


_RNG = np.random.default_rng(0)
_TWELVE = _RNG.random(12).tolist()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (_TWELVE, [1e6] + [math.inf] * 17),
        (_TWELVE, (1e6 * (1 + _RNG.random(13))).tolist()),
        (_TWELVE, (10.0 ** _RNG.uniform(4, 20, 100)).tolist()),
        (_TWELVE, [math.inf] * 200),
        (_TWELVE, [20.0] + [math.inf] * 17),
        ([0.1, 0.2], [1e6, 2e6]),
        ([0.1, 0.2], [1e300]),
        ([0.1, 0.2, 0.2], [1e6, 2e6, math.nan]),
        ([0.5] + [1.0] * 18, [1e30]),
    ],
    ids=[
        "outlier and failures",
        "most diverge",
        "widely",
        "most fail",
        "failures beside a bad one",
        "four",
        "three",
        "ties",
        "one is better",
    ],
)
def test_the_model_can_tell_good_from_better(good: list[float], bad: list[float]) -> None:
    """The best and the worst good target differ by more than half a deviation, hundreds of times the least noise."""
    assert np.ptp(targets([*good, *bad])[: len(good)]) > 0.5


def test_where_there_is_no_vast_gap_all_values_are_usual() -> None:
    """Of samples with thin and with heavy tails, small and large, next to none is taken apart; nor are ties."""
    rng = np.random.default_rng(0)
    apart = 0
    for size in [*range(2, 40)] * 10:
        for sample in (rng.random(size), rng.normal(size=size), rng.random(size) ** 2, rng.lognormal(0, 1, size)):
            apart += len(usual(sample)) < size
    assert apart <= 2
    for values in ([1.0], [3.0, 3.0], [0.0, 0.0, 0.0, 1e-3, 1.0, 2.0], [1.0, 1.0 + 1e-9, 5.0]):
        assert usual(np.array(values)).tolist() == values


def test_a_level_of_few_is_judged_by_those_below() -> None:
    """One of two trials diverges at the second level: neither that nor the first level is lost beside it."""
    first = np.linspace(1.0, 2.0, 9)
    values = np.array([*first, 0.3, 1e18])
    levels = np.array([0] * 9 + [1, 1])
    trials = np.array([*range(9), 0, 1])
    order = np.lexsort((levels, trials))
    found = objective_targets(values[order], levels[order], trials[order])
    assert found[levels[order] == 0].std() > 0.25
    assert np.ptp(found) < 10
