"""How long the tuner's job may run, and when it hands over."""

from __future__ import annotations

import logging

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import PythonBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote.time_limit import (
    LONGEST_JOB,
    MARGIN,
    hand_over_after,
    jobs_of,
    last_trials,
    longest_time,
    max_run,
    will_hand_over,
)
from cloudtune.stopping_criterion import Criterion

SPACE = {"x": uniform(0, 1)}


class OneHourTrials(PythonBackend):
    """Trials that take an hour at most."""

    def longest_trial(self) -> float | None:
        return 3600.0


def make_tuner(criterion: Criterion, wait: bool = False, backend: type[PythonBackend] = PythonBackend) -> Tuner:
    return Tuner(
        trial_backend=backend(tune_function=lambda x: None, config_space=SPACE),
        scheduler=RandomSearch(SPACE, metric="loss"),
        stop_criterion=criterion,
        n_workers=1,
        wait_trial_completion_when_stopping=wait,
    )


def test_a_job_may_run_as_long_as_its_experiment_and_a_margin() -> None:
    """The limit follows from the stopping criterion, and is never longer than AWS allows."""
    assert max_run(make_tuner(StoppingCriterion(max_wallclock_time=600)), None) == 600 + MARGIN
    assert max_run(make_tuner(StoppingCriterion(max_wallclock_time=10**6)), None) == LONGEST_JOB
    assert max_run(make_tuner(StoppingCriterion(max_num_trials_finished=4)), None) == LONGEST_JOB


def test_the_last_trials_count_where_they_are_waited_for() -> None:
    """They end within their own limit; where they have none, neither has the experiment."""
    criterion = StoppingCriterion(max_wallclock_time=600)
    assert longest_time(make_tuner(criterion, wait=True, backend=OneHourTrials)) == 4200
    assert longest_time(make_tuner(criterion, wait=False, backend=OneHourTrials)) == 600
    assert longest_time(make_tuner(criterion, wait=True)) is None
    assert last_trials(make_tuner(criterion, wait=True, backend=OneHourTrials)) == 3600
    assert last_trials(make_tuner(criterion, wait=False)) == 0


def test_a_shorter_limit_of_the_users_is_kept_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It says how long the experiment may take; a limit that is long enough says nothing."""
    tuner = make_tuner(StoppingCriterion(max_wallclock_time=600))
    with caplog.at_level(logging.WARNING):
        assert max_run(tuner, 1200) == 1200
        assert not caplog.records
        assert max_run(tuner, 500) == 500
        assert "up to 600 seconds: after 375 seconds the tuner's job hands over" in caplog.text
        assert max_run(make_tuner(StoppingCriterion(max_num_trials_finished=4)), 500) == 500
    assert "as long as its stopping criterion lets it" in caplog.text


def test_who_is_expected_to_hand_over() -> None:
    """An experiment for which its job has too little time; one without a limit, if the user has cut its job."""
    limited, unlimited = StoppingCriterion(max_wallclock_time=600), StoppingCriterion(max_num_trials_finished=4)
    assert will_hand_over(make_tuner(limited), 500)
    assert will_hand_over(make_tuner(limited), 700)  # after 525 seconds
    assert not will_hand_over(make_tuner(limited), 1200)
    assert not will_hand_over(make_tuner(limited), None)
    assert will_hand_over(make_tuner(unlimited), 500)
    assert not will_hand_over(make_tuner(unlimited), None)
    assert will_hand_over(make_tuner(StoppingCriterion(max_wallclock_time=10**6)), None)
    assert will_hand_over(make_tuner(StoppingCriterion(max_wallclock_time=LONGEST_JOB - 60)), None)


@given(st.floats(1, 1e7), st.floats(0, 3600), st.integers(4, LONGEST_JOB))
def test_there_are_as_many_jobs_as_hand_over(needed: float, beginning: float, limit: int) -> None:
    """Each tunes from its beginning until it hands over; jobs that take long to begin must be allowed to run long."""
    assume(beginning <= min(900, limit / 4))
    done, jobs = 0.0, 0
    while done < needed and jobs < 10:
        done, jobs = done + hand_over_after(limit) - beginning, jobs + 1
    assert jobs <= jobs_of(needed, limit)


def test_a_job_of_an_usual_experiment_is_its_only_one() -> None:
    """The margin of a job whose limit follows from its experiment is enough, up to half an hour below the longest."""
    for limit in (0, 1, 600, 86_400, LONGEST_JOB - 1800):
        assert jobs_of(limit, min(LONGEST_JOB, limit + MARGIN)) == 1
    assert jobs_of(LONGEST_JOB - 1799, LONGEST_JOB) == 2


def test_a_job_hands_over_before_its_time_is_over() -> None:
    """A quarter of an hour before, and of short times after three quarters."""
    assert hand_over_after(LONGEST_JOB) == LONGEST_JOB - 900
    assert hand_over_after(100) == 75
