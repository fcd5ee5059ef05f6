"""One trial, as the log tells it: where it stands, what it has reported, what it was asked, what it has cost."""

from __future__ import annotations

import math
from typing import Any

from cloudtune.store.store import Entry
from cloudtune.trial import Config, Trial, TrialStatus

#: What the tuner has asked of a running trial.
WISH_STOP = "stop"
WISH_PAUSE = "pause"
#: The trial reported something unusable; it ends as failed.
WISH_FAIL = "fail"
#: The tuner is ending; the trial goes on when the experiment does.
WISH_END = "end"


class TrialRecord:
    """One trial, as the log tells it."""

    __slots__ = (
        "attempt_time",
        "bills",
        "checkpoint_from",
        "delivered",
        "estimates",
        "last_metrics",
        "last_result",
        "late",
        "num_reports",
        "reason",
        "resource_before",
        "resource_now",
        "run",
        "saved",
        "status",
        "trial",
        "usable",
        "wish",
        "worker_time",
    )

    def __init__(self, trial: Trial, checkpoint_from: int | None) -> None:
        self.trial = trial
        self.checkpoint_from = checkpoint_from
        self.status = TrialStatus.in_progress
        self.wish: str | None = None
        self.reason = ""
        #: Reports that count for the results.
        self.num_reports = 0
        #: True once a report had everything the scheduler needs.
        self.usable = False
        #: The last value of every key that was ever reported.
        self.last_metrics: dict[str, Any] = {}
        #: Since its checkpoint was given up, the last report of any kind; empty: there was none. None: it never was.
        self.saved: dict[str, Any] | None = None
        #: The last report that had everything the scheduler needs.
        self.last_result: dict[str, Any] = {}
        #: Reports of the newest attempt that are in the log, for each run.
        self.delivered: dict[int, int] = {}
        self.run = 0
        #: Greatest resource level in earlier runs with this configuration, and in the current one.
        self.resource_before = -math.inf
        self.resource_now = -math.inf
        #: Reports (entries of the log) that came after a decision to pause, and may come again. None: there are none.
        self.late: list[Entry] | None = None
        #: Dollars of each attempt: as its reports have it, and as the bill says. None where there is nothing.
        self.estimates: dict[int, float] | None = None
        self.bills: dict[int, float] | None = None
        #: Seconds of earlier attempts, and of the newest.
        self.worker_time = 0.0
        self.attempt_time = 0.0

    @property
    def first_reason(self) -> str:
        """The first line of :attr:`reason`, one sentence without its end; last lines of output may follow there."""
        return self.reason.partition("\n")[0]

    @property
    def is_done_with_checkpoint(self) -> bool:
        """Whether it will not run again, or has paused and was given up: it then begins anew."""
        return self.status.is_finished or (self.status is TrialStatus.paused and self.saved == {})

    @property
    def cost(self) -> float:
        """Dollars: what was billed, and an estimate for attempts that have no bill yet."""
        return sum({**(self.estimates or {}), **(self.bills or {})}.values())

    def estimate(self, attempt: int, dollars: float) -> float:
        """Notes what a report says the attempt has cost so far; returns by how much the trial's cost grew."""
        if self.estimates is None:
            self.estimates = {}
        before = self.estimates.get(attempt, 0.0)
        self.estimates[attempt] = max(before, dollars)
        return 0.0 if self.bills and attempt in self.bills else self.estimates[attempt] - before

    def bill(self, attempt: int, dollars: float) -> float:
        """Notes a bill, which replaces estimate and earlier bill; returns by how much the trial's cost changed."""
        before = (self.bills or {}).get(attempt, (self.estimates or {}).get(attempt, 0.0))
        if self.bills is None:
            self.bills = {}
        self.bills[attempt] = dollars
        return dollars - before

    def keep_late(self, entry: Entry, level: float) -> None:
        """Keeps a late report in mind, unless that level has been counted."""
        if level > max(self.resource_before, self.resource_now):
            self.late = [*(self.late or ()), entry]

    def next_late(self, resource_attr: str, below: float) -> Entry | None:
        """Of the late reports below a resource level, the one with the lowest; None if there is none."""
        if self.late is None:
            return None
        first = min(self.late, key=lambda entry: float(entry["metrics"][resource_attr]))
        return first if first["metrics"][resource_attr] < below else None

    def forget_late(self, resource_attr: str, level: float) -> None:
        """Reports up to this resource level have been counted."""
        if self.late is not None:
            self.late = [entry for entry in self.late if entry["metrics"][resource_attr] > level] or None

    def begin_run(self, run: int) -> None:
        """A new start of the trial's process: what it reported before may come again."""
        self.run = run
        self.resource_before = max(self.resource_before, self.resource_now)
        self.resource_now = -math.inf

    def begin_attempt(self, attempt: int, config: Config, keep_levels: bool) -> None:
        """The trial runs again, as a new job."""
        self.trial.attempt = attempt
        self.trial.config = config
        self.begin_run(0)
        if not keep_levels:
            self.resource_before = -math.inf
            self.late = None
        self.delivered = {}
        self.status = TrialStatus.in_progress
        self.wish = None
        self.reason = ""
        self.worker_time += self.attempt_time
        self.attempt_time = 0.0
