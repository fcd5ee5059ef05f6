"""Limits: when they are reached, how they combine, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.stopping_criterion import StoppingCriterion, Verdict
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Machine, Program
from tests.virtual_tuner import curve, make_tuner


def test_criteria_combine() -> None:
    """``|`` ends with the first of two criteria, ``&`` with the last; a function works too, alone and combined."""
    status = TuningStatus("loss")
    status.wallclock_time, status.num_evaluations = 10.0, 5
    time_up = StoppingCriterion(max_wallclock_time=10)
    enough = StoppingCriterion(max_num_evaluations=6)
    assert time_up(status)
    assert not enough(status)
    assert (time_up | enough)(status)
    assert not (time_up & enough)(status)
    assert (enough | (lambda s: s.num_evaluations == 5))(status)
    assert (time_up | enough).wake_times() == [10]
    assert (time_up & StoppingCriterion(max_cost=5) | enough).cost_limits() == [5]


@pytest.mark.parametrize(
    ("options", "attribute", "below", "at"),
    [
        ({"max_wallclock_time": 5.0}, "wallclock_time", 4.9, 5.0),
        ({"max_num_evaluations": 5}, "num_evaluations", 4, 5),
        ({"max_cost": 2.5}, "cost", 2.4, 2.5),
        ({"min_metric_value": {"loss": 0.1}}, "metric_min", {"loss": 0.11}, {"loss": 0.1}),
        ({"max_metric_value": {"acc": 0.9}}, "metric_max", {"acc": 0.89}, {"acc": 0.9}),
    ],
)
def test_a_limit_is_reached_when_it_is_equalled(options: Any, attribute: str, below: Any, at: Any) -> None:
    """Reached means ``>=`` (``<=`` for the lowest metric value), not "exceeded"."""
    status = TuningStatus("loss")
    criterion = StoppingCriterion(**options)
    setattr(status, attribute, below)
    assert not criterion(status)
    setattr(status, attribute, at)
    assert criterion(status)


def test_a_criterion_needs_a_limit() -> None:
    """StoppingCriterion() would never end; limits must be positive; anything else is refused with an example."""
    with pytest.raises(ValueError, match="has no limit"):
        StoppingCriterion()
    with pytest.raises(ValueError, match="max_num_trials_started must be above 0, got 0"):
        StoppingCriterion(max_num_trials_started=0)
    with pytest.raises(TypeError, match="for instance StoppingCriterion"):
        make_tuner(Machine(Program(curve)), stop_criterion=600)


def test_a_limit_that_is_no_number_is_refused() -> None:
    """A limit given as a string is refused when the criterion is made."""
    with pytest.raises(TypeError, match="max_wallclock_time must be a number, got '600'"):
        StoppingCriterion(max_wallclock_time="600")  # type: ignore[arg-type]


def test_committed_money_counts_where_asked_for() -> None:
    """With count_committed no further trial starts that could take the cost above the limit; running ones finish."""
    status = TuningStatus("loss")
    status.cost, status.committed_cost, status.next_attempt_cost = 1.0, 7.0, 3.0
    assert not StoppingCriterion(max_cost=9.0)(status)
    committed = StoppingCriterion(max_cost=9.0, count_committed=True)
    assert committed.verdict(status) is Verdict.DRAIN
    assert not committed.affords(status)
    status.committed_cost = 6.0
    assert committed.verdict(status) is Verdict.GO, "the limit itself may be reached"
    status.cost = 9.0
    assert committed.verdict(status) is Verdict.STOP


def test_committed_money_in_combinations() -> None:
    """With ``|`` money alone ends the experiment, with ``&`` it does not; it is asked for where any part needs it."""
    status = TuningStatus("loss")
    status.committed_cost, status.next_attempt_cost = 7.0, 3.0
    committed = StoppingCriterion(max_cost=9.0, count_committed=True)
    long = StoppingCriterion(max_wallclock_time=10)
    assert not (committed | long).affords(status)
    assert (committed & long).affords(status)
    assert (committed & long).verdict(status) is Verdict.GO
    assert (committed | long).counts_committed()
    assert (committed & long).counts_committed()
    assert not (long | StoppingCriterion(max_cost=1)).counts_committed()


def test_count_committed_says_how_a_limit_is_counted() -> None:
    """Alone it is no limit."""
    with pytest.raises(ValueError, match="pass max_cost as well"):
        StoppingCriterion(max_wallclock_time=5, count_committed=True)
    with pytest.raises(ValueError, match="has no limit"):
        StoppingCriterion(count_committed=True)


def test_the_longest_time_an_experiment_can_take() -> None:
    """The shortest of limits of which any ends it; the longest of limits that must all be reached, if all have one."""
    short, long = StoppingCriterion(max_wallclock_time=10), StoppingCriterion(max_wallclock_time=20)
    timeless = StoppingCriterion(max_num_evaluations=5)
    assert short.longest() == 10
    assert timeless.longest() is None
    assert (short | long | timeless).longest() == 10
    assert (short & long).longest() == 20
    assert (short & timeless).longest() is None
    assert (timeless | (lambda status: False)).longest() is None
