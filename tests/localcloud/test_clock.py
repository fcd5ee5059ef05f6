"""The clock of a local cloud."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest

from cloudtune.localcloud.clock import CloudClock
from tests.localcloud.hand_clock import HandClock


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_a_scale_that_is_no_speed_is_refused(scale: float) -> None:
    """Time that stands still, runs back or has no speed would hang whoever waits for it."""
    with pytest.raises(ValueError, match="time_scale"):
        CloudClock(scale)


def test_time_runs_as_many_times_faster_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two real seconds are 2,000 cloud seconds at a scale of 1,000, and ``real`` is the way back."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = CloudClock(1000)
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    assert clock.elapsed() == pytest.approx(2000)
    assert clock.time() == pytest.approx(clock.began + 2000)
    assert clock.real(2000) == pytest.approx(2)


def test_threads_are_never_asked_to_wait_longer_than_they_can() -> None:
    """Python refuses waits of centuries; a fault may well last for ever."""
    for seconds in (1e11, float("inf")):
        assert CloudClock(0.001).real(seconds) == threading.TIMEOUT_MAX


def test_a_date_is_the_same_moment_in_utc() -> None:
    """``now`` and ``time`` tell the same moment, so that dates and seconds of one answer agree."""
    clock = HandClock()
    clock.at = 12.5
    assert clock.now().tzinfo is dt.timezone.utc
    assert clock.now().timestamp() == pytest.approx(clock.time())
