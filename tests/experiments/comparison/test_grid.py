"""Runs as steps, and on a common grid, against plain versions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.comparison.grid import Run, best_so_far, common_grid, on_grid

PLACE = st.integers(0, 20).map(float)
LOSS = st.integers(-5, 5).map(float) | st.sampled_from([math.nan, math.inf, -math.inf])
REPORTS = st.lists(st.tuples(PLACE, LOSS), min_size=1, max_size=12).map(lambda found: sorted(found, key=lambda r: r[0]))


def run_of(reports: list[tuple[float, float]], finished: bool = True) -> Run | None:
    x, losses = np.array(reports, dtype=float).T
    return best_so_far("one", x, losses, finished)


def plain_value(reports: list[tuple[float, float]], place: float, finished: bool) -> float:
    """The best finite loss of the reports up to a place; NaN if there is none, or if nobody knows."""
    so_far = [loss for x, loss in reports if x <= place and math.isfinite(loss)]
    if not so_far or (not finished and place > reports[-1][0]):
        return math.nan
    return min(so_far)


@given(REPORTS, st.booleans(), st.lists(st.floats(-1, 25), min_size=1, max_size=20))
def test_a_run_on_a_grid(reports: list[tuple[float, float]], finished: bool, grid: list[float]) -> None:
    """From its first value on, and beyond its end only if it has finished; NaN and infinity never are the best."""
    run = run_of(reports, finished)
    if run is None:
        assert not any(math.isfinite(loss) for _, loss in reports)
        return
    found = on_grid(run, np.array(grid)).tolist()
    assert found == pytest.approx([plain_value(reports, place, finished) for place in grid], nan_ok=True)


@given(st.lists(REPORTS, min_size=1, max_size=4))
def test_a_grid_holds_all_that_happens(of_runs: list[list[tuple[float, float]]]) -> None:
    """Nothing changes between two of its points, and it reaches to the end of the last run."""
    runs = [run for run in map(run_of, of_runs) if run is not None]
    if not runs:
        return
    grid = common_grid(runs)
    assert (np.diff(grid) > 0).all()
    assert grid[-1] == max(run.end for run in runs)
    for run in runs:
        assert set(run.x) <= set(grid)


@given(st.integers(1, 4), st.integers(0, 1000))
def test_a_large_grid_is_thinned(number: int, seed: int) -> None:
    """It keeps first and last, is no longer than it may be, and every place is near one of its points."""
    random = np.random.default_rng(seed)
    runs = []
    for index in range(number):
        x = np.cumsum(random.exponential(size=200))
        run = best_so_far(str(index), x, -np.arange(200.0), True)
        assert run is not None
        runs.append(run)
    grid = common_grid(runs, 50)
    places = np.unique(np.concatenate([run.x for run in runs]))
    assert len(grid) <= 50
    assert set(grid) <= set(places)
    assert (grid[0], grid[-1]) == (places[0], places[-1])
    assert np.diff(grid).max() <= (places[-1] - places[0]) / 24 + np.diff(places).max()


def test_steps_by_hand() -> None:
    """Only what is better makes a step; of two at one place the better counts; a clock that goes back is held."""
    run = run_of([(1.0, math.nan), (2.0, 5.0), (3.0, 6.0), (4.0, 4.0), (4.0, 3.0), (3.5, 2.0), (9.0, 8.0)])
    assert run is not None
    assert (run.x.tolist(), run.values.tolist(), run.end) == ([2.0, 4.0], [5.0, 2.0], 9.0)


def test_reports_without_a_place_do_not_count() -> None:
    """Where the horizontal axis is not known for a report, it is left out."""
    run = run_of([(1.0, 5.0), (math.nan, 1.0), (2.0, 4.0)])
    assert run is not None
    assert (run.x.tolist(), run.values.tolist()) == ([1.0, 2.0], [5.0, 4.0])
