"""What an experiment has spent by each report."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.spending import spent
from tests.experiments.comparison.made import made, of_rows


def test_seconds_and_trials() -> None:
    """Wall-clock time as it stands in the results; of trials, how many have reported."""
    experiment = of_rows("one", [{"trial_id": trial, "st_tuner_time": 2.0 * trial} for trial in (3, 3, 1, 3, 2)])
    assert spent(experiment, "time").tolist() == [6, 6, 2, 6, 4]
    assert spent(experiment, "trials").tolist() == [1, 1, 2, 2, 3]


def test_epochs_of_all_trials() -> None:
    """A level that a trial repeats, or has jumped over, counts once."""
    rows = [(0, 1), (1, 1), (0, 2), (1, 3), (0, 2), (0, 3), (2, 1)]
    experiment = of_rows("one", [{"trial_id": trial, "epoch": epoch} for trial, epoch in rows])
    assert spent(experiment, "resource", "epoch").tolist() == [1, 2, 3, 5, 5, 6, 7]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9) | st.none()), min_size=1, max_size=20))
def test_epochs_are_those_of_a_plain_version(rows: list[tuple[int, int | None]]) -> None:
    """The sum over trials of the highest level so far, after each report."""
    experiment = of_rows("one", [{"trial_id": trial, "epoch": epoch} for trial, epoch in rows])
    experiment.results["epoch"] = experiment.results["epoch"].astype(float)
    highest: dict[int, int] = {}
    expected = []
    for trial, epoch in rows:
        highest[trial] = max(highest.get(trial, 0), epoch or 0)
        expected.append(sum(highest.values()))
    assert spent(experiment, "resource", "epoch").tolist() == pytest.approx(expected)


RUNS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 9)), min_size=1, max_size=20)


@given(RUNS, st.booleans())
def test_dollars_are_those_of_a_plain_version(events: list[tuple[int, bool, int]], has_times: bool) -> None:
    """The runs of a trial add up: each counts its own seconds from 0, and so its dollars."""
    rows: list[dict[str, Any]] = []
    expected = []
    costs: dict[tuple[int, int], float] = {}
    run_of: dict[int, int] = {}
    started: dict[int, float] = {}
    numbers: dict[int, int] = {}
    for clock, (trial, anew, seconds) in enumerate(events):
        now = 100.0 * clock
        if anew or trial not in run_of:
            run_of[trial] = run_of.get(trial, -1) + 1
            started[trial], numbers[trial] = now - seconds, 0
            costs[trial, run_of[trial]] = 0.0
        key = (trial, run_of[trial])
        row = {"trial_id": trial, "st_worker_cost": (now - started[trial]) / 10, "st_worker_iter": numbers[trial]}
        if has_times:
            row |= {"st_worker_timestamp": now, "st_worker_time": now - started[trial]}
        rows.append(row)
        numbers[trial] += 1
        costs[key] = (now - started[trial]) / 10
        expected.append(sum(costs.values()))
    assert spent(of_rows("one", rows), "cost").tolist() == pytest.approx(expected)


def test_a_run_whose_first_reports_were_known_already() -> None:
    """They are not in the results, so its numbers seem to go on: that it began later tells it from the run before."""
    stamps = [(0, 10.0, 10.0), (1, 20.0, 20.0), (2, 90.0, 30.0)]  # the third says that it began at 60
    rows = [
        {"st_worker_iter": number, "st_worker_timestamp": at, "st_worker_time": since, "st_worker_cost": since}
        for number, at, since in stamps
    ]
    assert spent(of_rows("one", rows), "cost").tolist() == [10.0, 20.0, 50.0]


def test_what_reports_do_not_tell() -> None:
    """Each message names the experiment, what is missing, and what to do instead."""
    experiment = made("local", [(1.0, 1.0)])
    with pytest.raises(
        CloudtuneError, match=r"'local' has no report that holds a number 'st_worker_cost'; instances have a price only"
    ):
        spent(experiment, "cost")
    with pytest.raises(CloudtuneError, match=r"'local' does not tell .*resource_attr=.*over='trials'"):
        spent(experiment, "resource")
    with pytest.raises(
        CloudtuneError, match=r"'local' has no report that holds a number 'epoch'; choose over='trials'"
    ):
        spent(experiment, "resource", "epoch")
