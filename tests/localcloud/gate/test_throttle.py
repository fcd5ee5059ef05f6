"""Rates of API calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.gate.throttle import Throttle
from tests.localcloud.hand_clock import HandClock

CREATE = "sagemaker:CreateTrainingJob"


@given(
    st.floats(0.1, 20),
    st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sees_more_calls_than_bucket_and_rate_allow(rate: float, waits: list[float]) -> None:
    """Between any two moments at most a full bucket and what flowed in meanwhile is admitted; never less than due."""
    clock = HandClock()
    throttle = Throttle(clock, {CREATE: rate})
    admitted: list[float] = []
    refused: list[float] = []
    for wait in waits:
        clock.at += wait
        (admitted if throttle.admit(CREATE, "1", "eu-west-1") else refused).append(clock.at)
    burst = max(1.0, rate)
    for first, begin in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            assert last - first + 1 <= burst + (end - begin) * rate + 1e-6
    for moment in refused:
        # A refusal is due: from a full bucket on, what was admitted has used up all that flowed in.
        since = [0.0, *(begin for begin in admitted if begin <= moment)]
        assert any(
            sum(begin <= call <= moment for call in admitted) + 1 > burst + (moment - begin) * rate - 1e-6
            for begin in since
        )


@pytest.mark.parametrize("rate", [0.3, 1.0, 3.0, 7.0])
def test_calls_at_exactly_the_rate_all_pass(rate: float) -> None:
    """A client that keeps to the rate is never refused, whatever the rounding of binary fractions."""
    clock = HandClock()
    throttle = Throttle(clock, {CREATE: rate})
    for _ in range(int(max(1, rate))):
        assert throttle.admit(CREATE, "1", "eu-west-1")
    for number in range(1, 2000):
        clock.at = number / rate
        assert throttle.admit(CREATE, "1", "eu-west-1")


def test_accounts_regions_and_operations_do_not_share_a_bucket() -> None:
    """As on AWS; and what has no rate is not limited."""
    throttle = Throttle(HandClock(), {CREATE: 1.0, "sagemaker:StopTrainingJob": 1.0})
    keys = [(CREATE, "1", "eu-west-1"), (CREATE, "1", "us-east-1"), (CREATE, "2", "eu-west-1")]
    keys.append(("sagemaker:StopTrainingJob", "1", "eu-west-1"))
    assert all(throttle.admit(*key) for key in keys)
    assert not any(throttle.admit(*key) for key in keys)
    assert all(throttle.admit("sagemaker:Search", "1", "eu-west-1") for _ in range(100))


def test_new_rates_take_the_place_of_the_old_ones() -> None:
    """Rates can be changed while the cloud runs, and lifted."""
    throttle = Throttle(HandClock(), {CREATE: 1.0})
    assert throttle.admit(CREATE, "1", "r")
    throttle.set_rates({CREATE: 2.0})
    assert [throttle.admit(CREATE, "1", "r") for _ in range(3)] == [True, True, False]
    assert throttle.rates() == {CREATE: 2.0}
    throttle.set_rates({})
    assert throttle.admit(CREATE, "1", "r")


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused_and_changes_nothing(rate: float) -> None:
    """A rate of 0 would refuse for ever: the message says how to lift a limit."""
    throttle = Throttle(HandClock(), {CREATE: 1.0})
    with pytest.raises(ValueError, match="Leave the operation out"):
        throttle.set_rates({CREATE: rate})
    assert throttle.rates() == {CREATE: 1.0}
