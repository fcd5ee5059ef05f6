"""One attempt of a trial as the tuner sees it: a training job, what was heard of it, and what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from cloudtune.agent.forms import EndForm, Head
from cloudtune.agent.protocol import ENDED, ENDING
from cloudtune.aws.training_jobs import JobState
from cloudtune.trial import Bill, End, Report, Trial


class Phase(Enum):
    """Where the job of an attempt stands, as far as the tuner knows."""

    QUEUED = "queued"  # it is to be created
    EXISTS = "exists"  # it was created, or an earlier tuner may have created it
    OVER = "over"  # it is terminal, or will never exist: the worker is free


#: The machines of one job: type and number of each group.
Machines = Sequence[tuple[str, int]]
#: Reports of a chunk: (run, number of the first) -> the reports.
Chunks = Mapping[tuple[int, int], Sequence[dict[str, Any]]]


class Attempt:
    """State of one attempt. It does nothing by itself; the desk's lock guards it.

    Args:
        trial: The trial, with the attempt's number and configuration.
        job_name: Name of its training job.
        job_id: Tells the job from a foreign one of the same name (``protocol.ENV_JOB_ID``).
        delivered: For each run, how many reports are in the tuner's log already.
    """

    def __init__(self, trial: Trial, job_name: str, job_id: str, delivered: Mapping[int, int] | None = None) -> None:
        self.trial = trial
        self.trial_id = trial.trial_id
        self.number = trial.attempt
        self.key = (trial.trial_id, trial.attempt)
        self.job_name = job_name
        self.job_id = job_id
        self.phase = Phase.QUEUED
        self.delivered: dict[int, int] = dict(delivered or {})
        self.use_s3 = True
        self.has_agent = True
        self.instance_type = ""
        self.instance_count = 1
        self.hourly_price: float | None = None  # dollars per hour of all its instances
        self.max_seconds = 0.0  # billable at most
        # As long as nobody knows which machines its job has: those that it may get, as types and numbers.
        self.may_get: Sequence[Machines] = ()
        # What was heard.
        self.has_head = False
        self.is_ending = False  # its agent has heard that it is to end, or its script has ended
        self.heard_at: float | None = None
        self._newest_head = (-1, -1)
        self.lists_without_head = 0
        self.told_silent = False
        self.has_changed_to_log = False  # an earlier run has reported through S3, this one does through its log
        self.mark: EndForm | None = None
        self.mark_at: float | None = None
        self.last_state: JobState | None = None  # of a job that is over, while the end of its log is awaited
        # What was done.
        self.is_being_created = False
        self.request: dict[str, Any] | None = None  # what is tried until the job exists
        self.had_no_job = False  # an earlier tuner has ended before it had created one
        self.failed_creations = 0  # for want of an answer, or by AWS's own fault
        self.may_exist = False  # the answer to creating it was lost
        self.created_at: float | None = None  # None: by an earlier tuner, if at all
        # What was asked.
        self.wish: str | None = None
        self.stop_job_at: float | None = None
        self.stop_sent = False
        self.stopping_since: float | None = None  # None: it had ended before, or was not stopped
        self.told_hanging = False
        # What was told to the tuner.
        self.end_delivered = False
        self.last_bill: Bill | None = None
        self.pool_ended = False  # its warm pool was given back
        self.pool_asked = 0  # how often its job was asked for since it ended, because a bill was not final
        # When to ask for the job's state, and how often that was done since the last news.
        self.describe_at: float | None = None
        self.describes = 0
        self.asked_at: float | None = None  # when it was in progress last

    @property
    def occupies_worker(self) -> bool:
        """Whether the attempt holds, or is about to hold, a machine; or its end is still to be told."""
        return self.phase is not Phase.OVER or not self.end_delivered

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be heard of it."""
        return self.phase is Phase.OVER and self.end_delivered and (self.last_bill is None or self.last_bill.final)

    def missing_chunks(self, head: Head) -> list[tuple[int, int]]:
        """Chunks, as (run, first number), that hold reports which the tuner does not have."""
        return [(run, first) for run, first, count in head["chunks"] if self.delivered.get(run, 0) < first + count]

    def take_head(self, head: Head, chunks: Chunks, now: float) -> list[Report]:
        """Takes in a head and the chunks it named as missing; returns the new reports, in order.

        Two threads may read heads: one that is older than what was taken in already tells nothing.
        """
        if (head["run"], head["beat"]) < self._newest_head:
            return []
        if (head["run"], head["beat"]) > self._newest_head:  # else it was read before
            self.heard_at = now
            self.told_silent = self.has_changed_to_log = False
        self._newest_head = (head["run"], head["beat"])
        self.has_head = True
        self.is_ending = head["state"] in (ENDING, ENDED)
        new: list[Report] = []
        for run, first, _ in head["chunks"]:
            if (run, first) in chunks:
                self._take(new, run, first, chunks[run, first])
        self._take(new, head["run"], head["first"], head["reports"])
        self.take_mark(head["end"], now)
        return new

    def take_mark(self, mark: EndForm | None, now: float) -> None:
        """Takes in how the newest run ended, or that it has not: a restarted job has no end any more."""
        if mark != self.mark:
            self.mark, self.mark_at = mark, None if mark is None else now
            self.describes = 0

    def take_reports(self, reports: Sequence[Report]) -> list[Report]:
        """Those that are new of reports in order."""
        new: list[Report] = []
        for report in reports:
            self._take(new, report.run, report.number, [report.metrics])
        return new

    def _take(self, new: list[Report], run: int, first: int, reports: Sequence[dict[str, Any]]) -> None:
        known = self.delivered.get(run, 0)
        for number, metrics in enumerate(reports, first):
            if number >= known:
                new.append(Report(self.trial_id, self.number, run, number, metrics))
                known = number + 1
        if known:
            self.delivered[run] = known

    @property
    def reads_wishes(self) -> bool:
        """Whether its agent is known to look at the life object."""
        return self.has_head and self.use_s3 and not self.has_changed_to_log

    @property
    def runs_heard(self) -> int:
        """How many runs have reported through S3, as far as its head tells."""
        return self._newest_head[0] + 1

    def is_asked_to_end(self) -> bool:
        """Whether the tuner wants it to stop or to pause."""
        return self.wish is not None

    def end(self, end: End) -> list[End]:
        """The end as an event, unless the tuner was told before."""
        if self.end_delivered:
            return []
        self.end_delivered = True
        return [end]


def first_names(attempts: Sequence[Attempt]) -> str:
    """Names of the first three jobs, for messages."""
    names = [attempt.job_name for attempt in attempts]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
