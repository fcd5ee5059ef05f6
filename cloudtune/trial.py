"""A trial, and the events that pass from a backend to the tuner."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

Config = dict[str, Any]


class TrialStatus(str, Enum):
    """Where a trial stands. The values are what ``st_status`` and the status table show."""

    in_progress = "InProgress"
    stopping = "Stopping"  # told to stop or to pause, still occupying its worker
    paused = "Paused"  # by the scheduler, which may resume it
    interrupted = "Interrupted"  # by the machine or the end of the tuner; goes on when the tuner does
    stopped = "Stopped"
    completed = "Completed"
    failed = "Failed"

    # Enum's own is a function of Python, and counters by status are looked up many times for each report.
    __hash__ = str.__hash__

    @property
    def is_running(self) -> bool:
        """True while the trial occupies a worker."""
        return self in (TrialStatus.in_progress, TrialStatus.stopping)

    @property
    def is_finished(self) -> bool:
        """True when the trial will not run again (a paused or interrupted one may)."""
        return self in (TrialStatus.stopped, TrialStatus.completed, TrialStatus.failed)


class Outcome(str, Enum):
    """How an attempt of a trial ended."""

    completed = "completed"
    failed = "failed"
    stopped = "stopped"  # because the tuner, or somebody at the console, stopped it
    paused = "paused"  # because the tuner asked for it; it can be resumed
    interrupted = "interrupted"  # by the machine (spot, a killed tuner): it continues as the next attempt


@dataclass
class Trial:
    """A configuration under evaluation.

    Args:
        trial_id: Unique in the experiment, counted from 0 in the order of suggestion.
        config: Hyperparameters and constants, as the training script receives them.
        attempt: Number of the newest job of this trial, from 0. A resumed trial is a new attempt.
    """

    trial_id: int
    config: Config = field(default_factory=dict)
    attempt: int = 0


class Report(NamedTuple):
    """One call of ``report(...)`` in a training script.

    ``(trial_id, attempt, run, number)`` is its identity: an attempt is one job, a run is one start of the job's
    container or process, and numbers count from 0 in each run.
    """

    trial_id: int
    attempt: int
    run: int
    number: int
    metrics: dict[str, Any]


class End(NamedTuple):
    """An attempt has ended. It comes after all reports of the attempt; its worker may become free a little later."""

    trial_id: int
    attempt: int
    outcome: Outcome
    reason: str = ""  # one sentence for people: exit code, signal, last lines of output
    exit_code: int | None = None
    blameless: bool = False  # of an interruption: the trial has not even begun (no machine, a name taken)
    bill_follows: bool = False  # what the attempt has cost is told later, by a Bill


class Bill(NamedTuple):
    """What an attempt has cost. It comes after the end of the attempt; a later bill replaces an earlier one.

    Where a limit of cost is reached, one that is not final may come before the end.
    """

    trial_id: int
    attempt: int
    dollars: float | None  # None: no price is known for the instance type
    seconds: float  # billable
    retained_seconds: float  # during which a warm pool kept its instances
    instance_type: str
    final: bool  # no other bill for the attempt follows


TrialEvent = Report | End | Bill
