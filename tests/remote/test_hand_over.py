"""When the tuner's job hands over to a successor, before either of its times is over, and what it does for one."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cloudtune import Tuner
from cloudtune.aws.errors import AccessDenied, NoCapacity, QuotaReached, Throttled, Unreachable
from cloudtune.interruption import SignalWatch, TuningInterrupted
from cloudtune.remote import hand_over as module
from cloudtune.remote.hand_over import HandOver, HandOverFailed
from cloudtune.remote.launching import LaunchedElsewhere
from cloudtune.remote.own_job import OwnJob, Time
from cloudtune.remote.tuner_job import Settings
from cloudtune.tuning_status import TuningStatus

#: Of the tuner's clock at its beginning.
BEGAN = 5000.0


def handed_over_after(max_run: int, times: list[Time], fails: int = 0) -> float:
    """Seconds from the tuner's beginning until it is told to end.

    Args:
        max_run: Of the job.
        times: What SageMaker tells when it is asked, however late that is.
        fails: So often it has told nothing before.
    """
    silent: list[list[Time]] = [[]] * fails
    answers = iter(silent)
    told: list[str] = []
    backend = SimpleNamespace(wall_time=lambda: BEGAN)
    tuner = cast(Tuner, SimpleNamespace(trial_backend=backend, interrupt=told.append))
    job = cast(OwnJob, SimpleNamespace(times=lambda patience: next(answers, times)))
    hand_over = HandOver(job, Settings("digits", "", "cloudtune/digits/digits/", max_run), SignalWatch())
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


def test_who_is_not_told_asks_again() -> None:
    """After a restart the job is older than its tuner: that AWS did not answer once is made good a minute later."""
    assert handed_over_after(10_000, [Time(5_000.0, 10_000.0)], fails=3) == pytest.approx(4_340.0)


class Handing:
    """A hand-over that is due, of a job that began just now.

    Args:
        path: For the channel.
        monkeypatch: Shortens its pauses.
        outcomes: Of the tries to create a successor, in turn; the last one comes again and again.
        seconds: That the job may run.
    """

    def __init__(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[str | Exception], seconds: int = 1000
    ) -> None:
        self.signals = SignalWatch()
        self.tries = 0
        self._path = path
        self._outcomes = outcomes
        job = SimpleNamespace(name="digits-tuning-0-0", times=lambda patience: [Time(0.0, float(seconds))])
        job.ends_for_good = lambda: True
        job.time_is_over = False
        self.job = job
        self.hand_over = HandOver(
            cast(OwnJob, job), Settings("digits", "", "cloudtune/digits/digits/", seconds), self.signals
        )
        self.hand_over.is_due = True
        monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.01)
        monkeypatch.setattr(self.hand_over, "_create", self._create)
        self.withdrawn = 0
        monkeypatch.setattr(self.hand_over, "_withdraw", self._withdraw)

    def _withdraw(self) -> None:
        self.withdrawn += 1

    def _create(self, shipped: object, patience: float) -> str:
        outcome = self._outcomes[min(self.tries, len(self._outcomes) - 1)]
        self.tries += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def complete(self) -> str | None:
        return self.hand_over.complete(self._path)


@pytest.mark.parametrize(
    "error",
    [
        QuotaReached("no instance is free."),
        NoCapacity("no instance is free."),
        Throttled("too often."),
        Unreachable("no answer."),
        LaunchedElsewhere("another launch has just been made, which has died"),
    ],
)
def test_a_successor_is_tried_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """What may be otherwise in a while is waited for: an instance of a trial's job that ends, say."""
    handing = Handing(tmp_path, monkeypatch, [error, error, "digits-tuning-0-1"])
    assert handing.complete() == "digits-tuning-0-1"
    assert handing.tries == 3


def test_a_successor_that_cannot_be_created_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job fails, with a reason that says how the experiment is continued before it quotes AWS."""
    handing = Handing(tmp_path, monkeypatch, [QuotaReached("no instance is free.")], seconds=1)
    with pytest.raises(HandOverFailed, match=r"`cloudtune resume digits` continues .*\(no instance is free\)$"):
        handing.complete()
    assert handing.tries > 1


def test_what_no_waiting_helps_against_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right that is missing is missing later as well."""
    handing = Handing(tmp_path, monkeypatch, [AccessDenied("it may not.")])
    with pytest.raises(HandOverFailed, match="could not be created"):
        handing.complete()
    assert handing.tries == 1


@pytest.mark.parametrize("time_is_over", [True, False])
def test_a_signal_while_a_successor_is_tried_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time_is_over: bool
) -> None:
    """At the end of the job's time it has failed; who stops the job wants no successor, and no trials that go on."""
    handing = Handing(tmp_path, monkeypatch, [QuotaReached("no instance is free.")])
    handing.job.time_is_over = time_is_over
    sender = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    with handing.signals:  # also for a signal that comes when it has failed otherwise
        sender.start()
        try:
            with pytest.raises(HandOverFailed if time_is_over else TuningInterrupted):
                handing.complete()
        finally:
            sender.join()
    assert handing.hand_over.is_due == time_is_over
    assert handing.withdrawn == (not time_is_over)


@pytest.mark.parametrize(
    ("goes_on", "time_is_over", "is_wanted"), [(False, False, False), (False, True, True), (True, False, True)]
)
def test_a_signal_while_the_successor_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: bool, time_is_over: bool, is_wanted: bool
) -> None:
    """It is stopped again where somebody stops the job; not where the job's time or its machine is at an end."""
    handing = Handing(tmp_path, monkeypatch, ["digits-tuning-0-1"])
    handing.job.time_is_over, handing.job.ends_for_good = time_is_over, lambda: not goes_on

    def create(*_: object) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "digits-tuning-0-1"

    monkeypatch.setattr(handing.hand_over, "_create", create)
    with handing.signals:
        if is_wanted:
            assert handing.complete() == "digits-tuning-0-1"
        else:
            with pytest.raises(TuningInterrupted):
                handing.complete()
    assert handing.withdrawn == (not is_wanted)
