"""Who is told of what: those that listen, in their order, and nobody else."""

from __future__ import annotations

from typing import Any

from cloudtune.callbacks import TunerCallback
from cloudtune.callbacks.audience import Audience
from cloudtune.trial import Trial, TrialStatus
from cloudtune.tuning_status import TuningStatus


class _Completed(TunerCallback):
    """Wants to know of trials that end by themselves only."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        self.told.append(trial.trial_id)


class _Results(TunerCallback):
    """Wants to know of reports only."""

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        """Nothing."""


class _Clock(TunerCallback):
    """Wants to be called at 5."""

    def __init__(self) -> None:
        self.called: list[float] = []

    def next_time(self) -> float | None:
        return None if self.called else 5.0

    def on_time(self, now: float, status: TuningStatus) -> None:
        self.called.append(now)


def test_a_hook_that_nobody_overrides_has_no_listener() -> None:
    """A callback is told of what it wants to know, and costs nothing elsewhere."""
    results, completed = _Results(), _Completed()
    audience = Audience([completed, results, TunerCallback()])
    assert audience.trial_result == [results.on_trial_result]
    assert audience.start_trial == audience.resume_trial == []
    assert audience.trial_end == [completed.on_trial_end]


def test_a_trial_that_completes_is_told_to_whom_only_that_interests() -> None:
    """It is told by way of what the callback inherits."""
    completed = _Completed()
    for number, status in enumerate((TrialStatus.completed, TrialStatus.stopped, TrialStatus.failed)):
        for listener in Audience([completed]).trial_end:
            listener(Trial(number), status, {}, "")
    assert completed.told == [0]


def test_a_hook_may_be_set_on_the_object_before_the_run() -> None:
    """Who listens is found out again when the callbacks have got ready."""
    callback = TunerCallback()
    audience = Audience([callback])
    callback.on_start_trial = lambda trial: None  # type: ignore[method-assign]
    assert audience.start_trial == []
    audience.gather()
    assert audience.start_trial == [callback.on_start_trial]


def test_those_that_watch_the_time_are_called_when_it_has_come() -> None:
    """Not before, and not again unless they wish it."""
    clock = _Clock()
    audience = Audience([TunerCallback(), clock])
    assert audience.next_times() == [5.0]
    for now in (4.9, 5.0, 6.0):
        audience.look(now, TuningStatus())
    assert clock.called == [5.0]
    assert audience.next_times() == []
