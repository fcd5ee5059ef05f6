"""When the tuner's job hands over to a successor: before either of the times is over that SageMaker allows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from cloudtune import Tuner
from cloudtune.remote.hand_over import HandOver
from cloudtune.remote.own_job import OwnJob, Time
from cloudtune.remote.tuner_job import Settings
from cloudtune.tuning_status import TuningStatus

#: Of the tuner's clock at its beginning.
BEGAN = 5000.0


def handed_over_after(max_run: int, times: list[Time]) -> float:
    """Seconds from the tuner's beginning until it is told to end.

    Args:
        max_run: Of the job.
        times: What SageMaker tells when it is asked, however late that is.
    """
    told: list[str] = []
    backend = SimpleNamespace(time=lambda: BEGAN)
    tuner = cast(Tuner, SimpleNamespace(trial_backend=backend, interrupt=told.append))
    job = cast(OwnJob, SimpleNamespace(times=lambda patience: times))
    hand_over = HandOver(job, Settings("digits", "", "cloudtune/digits/digits/", max_run))
    hand_over.on_tuning_start(tuner)
    now = BEGAN
    while not hand_over.is_due:
        due = hand_over.next_time()
        assert due is not None
        now = max(now, due)
        hand_over.on_time(now, cast(TuningStatus, None))
    assert told == ["handing over to another job"]
    assert hand_over.next_time() is None
    return now - BEGAN


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([Time(60.0, 10_000.0)], 9_100.0),  # a quarter of an hour before its max_run
        ([Time(560.0, 10_000.0)], 8_600.0),  # which began before the tuner did
        ([Time(60.0, 10_000.0), Time(360.0, 20_000.0)], 9_100.0),  # max_wait is far away
        ([Time(60.0, 10_000.0), Time(4_060.0, 11_000.0)], 6_100.0),  # it has waited for its machine
        ([Time(9_000.0, 10_000.0), Time(10_900.0, 11_000.0)], 60.0),  # it has found its machine late
        ([], 9_100.0),  # nobody tells: as if it had just begun
    ],
)
def test_what_ends_first_counts(times: list[Time], seconds: float) -> None:
    """The time that it runs, and on spot the time that it is there, each with its limit; asked for after a minute."""
    assert handed_over_after(10_000, times) == pytest.approx(seconds)
