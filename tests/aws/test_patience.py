"""How long calls are repeated."""

from __future__ import annotations

import random

import pytest

from cloudtune.aws.errors import AccessDenied, AwsError, NotFound, QuotaReached, ServiceFailure, Throttled, Unreachable
from cloudtune.aws.patience import OF_FAILURES, OF_THROTTLING, Patience


class Time:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lasts(seconds: float | None, error: AwsError, call: float = 0.0) -> tuple[float, int]:
    """For how long, and how often, a call is repeated that always fails so, and takes ``call`` seconds each time."""
    time = Time()
    patience = Patience(seconds, time, random.Random(0))
    repeated = 0
    while (pause := patience.pause_after(error)) is not None:
        repeated += 1
        time.now += pause + call + 1e-9
    return time.now, repeated


@pytest.mark.parametrize("error", [Unreachable(""), ServiceFailure("")])
def test_failures_are_repeated_for_a_minute(error: AwsError) -> None:
    """With growing pauses: an outage of a minute is survived, and AWS is not asked hundreds of times."""
    seconds, repeated = lasts(None, error)
    assert OF_FAILURES <= seconds <= OF_FAILURES + 1
    assert 8 <= repeated <= 20
    seconds, _ = lasts(5, error)
    assert 5 <= seconds <= 6


def test_throttling_is_waited_out_for_minutes() -> None:
    """The budget does the waiting; the call is given up only where it has had no luck for ten minutes."""
    seconds, _ = lasts(None, Throttled(""), call=4.0)
    assert OF_THROTTLING <= seconds <= OF_THROTTLING + 4.1
    seconds, _ = lasts(20, Throttled(""), call=4.0)
    assert 20 <= seconds <= 24.1


@pytest.mark.parametrize("error", [AccessDenied(""), NotFound(""), QuotaReached("")])
def test_what_does_not_pass_is_told_at_once(error: AwsError) -> None:
    """Repeating does not help against a missing right."""
    assert lasts(None, error) == (0, 0)


@pytest.mark.parametrize("error", [Throttled(""), Unreachable(""), ServiceFailure("")])
def test_no_patience_means_no_second_try(error: AwsError) -> None:
    """Zero is not "a little"."""
    assert lasts(0, error) == (0, 0)


def test_a_first_try_that_took_a_minute_is_still_repeated() -> None:
    """Patience counts from the first failure, not from the first try."""
    time = Time()
    time.now = 1000.0
    assert Patience(1, time).pause_after(Unreachable("")) is not None
