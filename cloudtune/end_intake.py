"""Takes in the ends of attempts, and their bills: what they mean for the trial, its scheduler and its checkpoint."""

from __future__ import annotations

import logging
from time import perf_counter

from cloudtune.active_time import ActiveTime
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.audience import Audience
from cloudtune.end_judge import EndJudge, is_last, tell_scheduler
from cloudtune.journal import Journal
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from cloudtune.report_intake import ReportIntake
from cloudtune.store import entries
from cloudtune.store.store import Entry
from cloudtune.trial import Bill, End, TrialStatus
from cloudtune.trial_record import WISH_FAIL, WISH_STOP, TrialRecord
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)


class EndIntake:
    """Ends of one run of the tuner.

    Args:
        judge: Knows what an end means for its trial.
        reports: Counts what a trial will not report again.
        scheduler: Told of each end.
        status: Has the records of the trials.
        journal: Where ends go.
        clock: Of the experiment.
        backend: Deletes checkpoints.
        audience: Told of each end.
    """

    def __init__(
        self,
        judge: EndJudge,
        reports: ReportIntake,
        scheduler: TrialScheduler,
        status: TuningStatus,
        journal: Journal,
        clock: ActiveTime,
        backend: TrialBackend,
        audience: Audience,
    ) -> None:
        self._judge = judge
        self._reports = reports
        self._scheduler = scheduler
        self._status = status
        self._journal = journal
        self._clock = clock
        self._backend = backend
        self._audience = audience
        #: Real time that the scheduler has taken in.
        self.seconds = 0.0

    def take(self, end: End) -> None:
        """Takes the end of an attempt in."""
        trial_id = end.trial_id
        record = self._status.records[trial_id]
        if record.late is not None and is_last(end, record):
            self._reports.catch_up(record)
        told_before = record.wish == WISH_FAIL
        status, reason = self._judge.status_after(record, end)
        waits = False
        if status is TrialStatus.completed and record.wish != WISH_STOP:
            waits = self._is_to_wait(record)
            status = TrialStatus.paused if waits else status
        entry: Entry = {
            "event": entries.END,
            "trial": trial_id,
            "attempt": end.attempt,
            "outcome": end.outcome.value,
            "reason": reason,
            "exit_code": end.exit_code,
            "time": self._clock.now,
            "status": status.value,
        }
        if waits:
            entry["decision"] = SchedulerDecision.PAUSE
        if end.bill_follows:
            entry["bill_follows"] = True
        self._journal.note(entry)
        begin = perf_counter()
        tell_scheduler(self._scheduler, record)
        self.seconds += perf_counter() - begin
        if self._backend.delete_checkpoints and status.is_finished:
            self._delete_checkpoint(trial_id)
        if status is TrialStatus.failed and not told_before:
            logger.warning("trial %d failed: %s", trial_id, reason)
        for listener in self._audience.trial_end:
            listener(record.trial, status, record.last_metrics, reason)

    def _is_to_wait(self, record: TrialRecord) -> bool:
        """Asks the scheduler whether a trial whose script has ended by itself pauses.

        Raises:
            ValueError: The scheduler answered with neither of the decisions that are possible.
        """
        begin = perf_counter()
        decision = self._scheduler.on_script_end(record.trial, record.last_result)
        self.seconds += perf_counter() - begin
        if decision not in (SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE):
            raise ValueError(
                f"{type(self._scheduler).__name__}.on_script_end answered {decision!r}; "
                "it must answer SchedulerDecision.CONTINUE or PAUSE"
            )
        return decision == SchedulerDecision.PAUSE

    def take_bill(self, bill: Bill) -> None:
        """Takes a bill in."""
        self._journal.note(
            {
                "event": entries.BILL,
                "trial": bill.trial_id,
                "attempt": bill.attempt,
                "dollars": bill.dollars,
                "seconds": bill.seconds,
                "retained": bill.retained_seconds,
                "instance_type": bill.instance_type,
                "final": bill.final,
                "time": self._clock.now,
            }
        )

    def drop_checkpoints(self) -> None:
        """Deletes what paused trials have saved that will hardly go on, where checkpoints are deleted at all."""
        for trial_id in self._status.give_up_checkpoints(self._scheduler.expendable_checkpoints()):
            self._delete_checkpoint(trial_id)

    def _delete_checkpoint(self, trial_id: int) -> None:
        self._journal.then(lambda: self._backend.delete_checkpoint(trial_id))
