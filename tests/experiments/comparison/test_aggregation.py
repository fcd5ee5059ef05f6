"""Centre and interval of runs, against slow plain versions and on data of which the truth is known."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.comparison.aggregation import Floats, aggregate, draw_weights, shown_points
from cloudtune.experiments.comparison.student_t import two_sided_quantile

NUMBERS = st.floats(-1e6, 1e6)
POINT = st.lists(NUMBERS | st.just(math.nan), min_size=6, max_size=6)


def plain_iqm(values: list[float]) -> float:
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def known(column: list[float]) -> list[float]:
    return [value for value in column if not math.isnan(value)]


def columns(points: list[list[float]]) -> Floats:
    by_run: Floats = np.array(points, dtype=float).T
    return by_run


@given(st.lists(POINT, min_size=1, max_size=5))
def test_interquartile_means_are_those_of_a_plain_version(points: list[list[float]]) -> None:
    """At each point the values that are there count, whatever their order; where there are none there is no centre."""
    found = aggregate(columns(points), "iqm_bootstrap", num_draws=20)
    for column, centre, lower, upper, count in zip(
        points, found.centre, found.lower, found.upper, found.counts, strict=True
    ):
        values = known(column)
        assert count == len(values)
        if not values:
            assert math.isnan(centre)
            continue
        assert centre == pytest.approx(plain_iqm(values), abs=1e-6)
        assert math.isnan(lower) == math.isnan(upper) == (len(values) == 1)
        if len(values) > 1:
            assert min(values) - 1e-6 <= lower <= upper <= max(values) + 1e-6


@given(st.lists(POINT, min_size=1, max_size=5))
def test_means_and_medians_are_those_of_a_plain_version(points: list[list[float]]) -> None:
    """Mean with Student's interval; median with quartiles."""
    mean = aggregate(columns(points), "mean_and_ci")
    median = aggregate(columns(points), "median_percentiles")
    for index, column in enumerate(points):
        values = known(column)
        if not values:
            assert math.isnan(mean.centre[index])
            assert math.isnan(median.centre[index])
            continue
        assert mean.centre[index] == pytest.approx(statistics.fmean(values), abs=1e-6)
        assert median.centre[index] == pytest.approx(statistics.median(values), abs=1e-6)
        if len(values) == 1:
            assert math.isnan(mean.lower[index])
            assert median.lower[index] == median.upper[index] == values[0]
            continue
        error = two_sided_quantile(0.95, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
        assert mean.upper[index] - mean.centre[index] == pytest.approx(error, rel=1e-6, abs=1e-4)
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
        assert [median.lower[index], median.upper[index]] == pytest.approx([quartiles[0], quartiles[2]], abs=1e-6)


@given(st.lists(NUMBERS, min_size=2, max_size=12), st.integers(0, 5))
def test_a_draw_is_the_interquartile_mean_of_a_resample(values: list[float], seed: int) -> None:
    """Weights by rank give for each draw what sorting the runs it took would give."""
    number, draws = len(values), 30
    taken = np.random.default_rng([seed, number]).integers(0, number, size=(draws, number))
    ordered = sorted(values)
    drawn = draw_weights(number, draws, seed) @ np.array(ordered)
    plain = [plain_iqm([ordered[rank] for rank in of_draw]) for of_draw in taken.tolist()]
    assert drawn.tolist() == pytest.approx(plain, abs=1e-4)


def test_the_interval_is_that_of_a_bootstrap_that_sorts() -> None:
    """With many draws it agrees with a plain bootstrap of its own random numbers."""
    values = np.random.default_rng(0).lognormal(size=(11, 1))
    found = aggregate(values, "iqm_bootstrap", confidence=0.8, num_draws=10_000)
    random = np.random.default_rng(7)
    runs = values[:, 0].tolist()
    plain = [plain_iqm(random.choice(runs, len(runs)).tolist()) for _ in range(10_000)]
    expected = np.quantile(plain, [0.1, 0.9])
    assert [found.lower[0], found.upper[0]] == pytest.approx(expected.tolist(), rel=0.03)


@pytest.mark.parametrize(
    ("mode", "runs", "low", "high"),
    [
        ("mean_and_ci", 3, 0.94, 0.96),
        ("mean_and_ci", 5, 0.94, 0.96),
        ("iqm_bootstrap", 5, 0.87, 0.93),
        ("iqm_bootstrap", 10, 0.92, 0.95),
        ("iqm_bootstrap", 40, 0.935, 0.96),
    ],
)
def test_how_often_the_interval_holds_the_truth(mode: str, runs: int, low: float, high: float) -> None:
    """Of 4,000 studies, as often as it says, or, where the bootstrap has few runs, as often as the guide says."""
    values = np.random.default_rng(1).normal(loc=3.0, size=(runs, 4000))
    found = aggregate(values, mode)
    assert low <= np.mean((found.lower <= 3.0) & (found.upper >= 3.0)) <= high


def test_the_bootstrap_is_seeded() -> None:
    """The same seed gives the same interval; another one, another. numpy's global numbers are not touched."""
    values = np.random.default_rng(2).normal(size=(7, 3))
    before: Any = np.random.get_state()  # noqa: NPY002 - shows that it stays
    once, again = (aggregate(values, "iqm_bootstrap", random_seed=5) for _ in range(2))
    other = aggregate(values, "iqm_bootstrap", random_seed=6)
    assert once.lower.tolist() == again.lower.tolist()
    assert once.lower.tolist() != other.lower.tolist()
    after: Any = np.random.get_state()  # noqa: NPY002
    assert before[1].tolist() == after[1].tolist()


def test_many_points_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the number of points, and the result does not depend on how they are parted."""
    values = np.random.default_rng(3).normal(size=(5, 50))
    whole = aggregate(values, "iqm_bootstrap", num_draws=100)
    monkeypatch.setattr("cloudtune.experiments.comparison.aggregation._AT_ONCE", 700)
    parted = aggregate(values, "iqm_bootstrap", num_draws=100)
    assert whole.lower.tolist() == pytest.approx(parted.lower.tolist(), abs=1e-12)


def test_points_at_which_runs_have_a_value() -> None:
    """From where on the last of them has one, as long as half of them still do; those that never have one aside."""
    nan = math.nan
    values = np.array([[nan, 1, 1, 1, 1], [nan, nan, 1, nan, nan], [nan, 1, 1, 1, nan], [1.0, 1, 1, 1, nan]])
    assert shown_points(values).tolist() == [False, False, True, True, False]
    never = np.full((2, 5), nan)
    assert shown_points(np.vstack([values[[0, 2, 3]], never[:1]])).tolist() == [False, True, True, True, False]
    assert shown_points(never).tolist() == [False] * 5


def test_a_late_run_makes_no_curve_worse() -> None:
    """Each run only gets better, and so does the centre: what joins late with a bad value joins before the curve."""
    random = np.random.default_rng(5)
    values = np.minimum.accumulate(random.random((6, 40)), axis=1)
    for run, begin in enumerate((0, 2, 3, 9, 11, 17)):
        values[run, :begin] = math.nan
    for mode in ("iqm_bootstrap", "mean_and_ci", "median_percentiles"):
        centre = aggregate(values[:, shown_points(values)], mode, num_draws=10).centre
        assert len(centre) == 23
        assert np.all(np.diff(centre) <= 1e-12)


def test_hundreds_of_runs_that_end_one_after_another() -> None:
    """Few numbers of values are kept, among them the greatest and the least; points where all are there all stay."""
    runs = 200
    values = np.where(np.arange(300)[np.newaxis, :] < 300 - np.arange(runs)[:, np.newaxis], 1.0, np.nan)
    shown = shown_points(values)
    counts = np.count_nonzero(~np.isnan(values[:, shown]), axis=0)
    assert len(np.unique(counts)) == 24
    assert (counts.min(), counts.max()) == (100, 200)
    assert np.count_nonzero(counts == runs) == 101


@pytest.mark.parametrize(
    ("confidence", "degrees", "quantile"),
    [
        (0.95, 1, 12.7062), (0.95, 2, 4.3027), (0.95, 4, 2.7764), (0.95, 9, 2.2622), (0.95, 30, 2.0423),
        (0.95, 100, 1.9840), (0.95, 5000, 1.9604), (0.99, 5, 4.0321), (0.8, 3, 1.6377), (0.5, 1, 1.0),
    ],
)  # fmt: skip
def test_quantiles_of_students_t(confidence: float, degrees: int, quantile: float) -> None:
    """Those of the tables."""
    assert two_sided_quantile(confidence, degrees) == pytest.approx(quantile, abs=1e-4)
