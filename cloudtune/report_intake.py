"""Takes in what trials report: the scheduler decides, the log has it, and what was decided is done."""

from __future__ import annotations

import logging
import math

from cloudtune.active_time import ActiveTime
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.audience import Audience
from cloudtune.end_judge import EndJudge
from cloudtune.journal import Journal
from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.report_judge import ReportJudge
from cloudtune.store import entries
from cloudtune.store.store import Entry
from cloudtune.trial import Report, TrialStatus
from cloudtune.trial_record import WISH_END, WISH_FAIL, WISH_PAUSE, TrialRecord
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

_REPORT, _COUNTED = entries.REPORT, entries.COUNTED
_IN_PROGRESS = TrialStatus.in_progress.value
_CONTINUE, _STOP, _PAUSE = SchedulerDecision.CONTINUE, SchedulerDecision.STOP, SchedulerDecision.PAUSE


class ReportIntake:
    """Reports of one run of the tuner.

    Args:
        judge: Knows what a report is to the scheduler, and asks it.
        ends: Told that a trial gets somewhere.
        status: Has the records of the trials.
        journal: Where reports go.
        clock: Of the experiment.
        backend: Carries out what was decided.
        audience: Told of each report.
    """

    def __init__(
        self,
        judge: ReportJudge,
        ends: EndJudge,
        status: TuningStatus,
        journal: Journal,
        clock: ActiveTime,
        backend: TrialBackend,
        audience: Audience,
    ) -> None:
        self._judge = judge
        self._ends = ends
        self._status = status
        self._journal = journal
        self._clock = clock
        self._backend = backend
        self._audience = audience

    def take(self, report: Report) -> None:
        """Takes one report in."""
        record = self._status.records[report.trial_id]
        self._ends.has_reported(report.trial_id)
        if record.late is not None and report.attempt == record.trial.attempt:
            self.catch_up(record, self._status.level_of(report.metrics))
        self._take(record, report, _REPORT)

    def catch_up(self, record: TrialRecord, beyond: float | None = math.inf) -> None:
        """Counts the late reports that the trial will not repeat: it has gone on from beyond them.

        Args:
            record: Of the trial.
            beyond: The resource level that it has reached; None: unknown, so that all of them may come again.
        """
        attr = self._status.resource_attr
        while attr is not None and beyond is not None and record.wish != WISH_PAUSE:
            late = record.next_late(attr, beyond)
            if late is None:
                return
            trial_id, attempt, run, number = late["trial"], late["attempt"], late["run"], late["number"]
            self._take(record, Report(trial_id, attempt, run, number, late["metrics"]), _COUNTED)

    def _take(self, record: TrialRecord, report: Report, event: str) -> None:
        trial_id, attempt, run, number, metrics = report
        entry: Entry = {
            "event": event,
            "trial": trial_id,
            "attempt": attempt,
            "run": run,
            "number": number,
            "time": self._clock.now,
            "decision": _CONTINUE,
            "status": _IN_PROGRESS,
            "metrics": metrics,
        }
        wish = record.wish
        if event == _REPORT and (wish == WISH_PAUSE or attempt != record.trial.attempt):
            entry["late"] = True
        elif wish is not None and wish != WISH_END:
            entry["extra"] = True
            entry["decision"] = _STOP
        else:
            decision = self._judge.judge(record, report, entry)
            if decision != _CONTINUE:
                self._obey(trial_id, decision)
        self._journal.note(entry)
        for listener in self._audience.trial_result:
            listener(record.trial, _IN_PROGRESS, metrics, entry["decision"])
        if "unusable" in entry and record.wish == WISH_FAIL:
            logger.warning("trial %d failed: %s", trial_id, record.reason)
            self._obey(trial_id, _STOP)

    def _obey(self, trial_id: int, decision: str) -> None:
        """Has done what was decided."""
        if decision == _STOP:
            self._journal.then(lambda: self._backend.stop_trial(trial_id))
        elif decision == _PAUSE:
            self._journal.then(lambda: self._backend.pause_trial(trial_id))
