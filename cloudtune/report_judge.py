"""What a report is to the scheduler: a replay, a report it cannot use, or one to decide about."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from time import perf_counter
from typing import Any

from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from cloudtune.store.store import Entry
from cloudtune.trial import Report
from cloudtune.trial_record import TrialRecord

logger = logging.getLogger(__name__)

_CONTINUE, _STOP, _PAUSE = SchedulerDecision.CONTINUE, SchedulerDecision.STOP, SchedulerDecision.PAUSE
#: Resources beyond are infinite, or integers that no float holds.
_MOST = sys.float_info.max
_DECISIONS = (_CONTINUE, _STOP, _PAUSE)


class ReportJudge:
    """Looks at the reports of one run of the tuner before the scheduler does.

    Args:
        scheduler: Asked about what it can use.
    """

    def __init__(self, scheduler: TrialScheduler) -> None:
        self._scheduler = scheduler
        self._resource_attr = scheduler.resource_attr
        self._metrics = scheduler.metric_names()
        #: What a report must have for the scheduler to see it.
        self.required = [*self._metrics, *([self._resource_attr] if self._resource_attr else [])]
        self._warned_keys: set[str] = set()
        #: Real time that the scheduler has taken to decide.
        self.seconds = 0.0

    def judge(self, record: TrialRecord, report: Report, entry: Entry) -> str:
        """Asks the scheduler about a report, if it is one the scheduler can use.

        Args:
            record: Of the trial.
            report: The report.
            entry: Of the log, where it is noted what the report is, and the decision if it is another than to go on.

        Returns:
            What the scheduler has decided; to go on where it was not asked.

        Raises:
            ValueError: The scheduler answered with what is no decision.
        """
        metrics = report.metrics
        level = None if self._resource_attr is None else metrics.get(self._resource_attr)
        if type(level) is int or type(level) is float:
            if not -_MOST <= level <= _MOST:
                entry["extra"], entry["decision"] = True, _STOP
                entry["unusable"] = (
                    f"it reported {self._resource_attr}={level!r:.20} (the scheduler's resource_attr), "
                    "which counts nothing; report a finite number"
                )
                return _CONTINUE
            before = record.resource_before
            if report.run != record.run:
                before = max(before, record.resource_now)
            if level <= before:
                entry["replay"] = True
                return _CONTINUE
        for key in self.required:
            value = metrics.get(key)
            if type(value) is not float and type(value) is not int:
                entry["extra"] = True
                self._unusable(record, key, metrics, entry)
                return _CONTINUE
        begin = perf_counter()
        decision = self._scheduler.on_trial_result(record.trial, metrics)
        self.seconds += perf_counter() - begin
        if decision not in _DECISIONS:
            raise ValueError(
                f"{type(self._scheduler).__name__}.on_trial_result answered {decision!r}; "
                "it must answer SchedulerDecision.CONTINUE, STOP or PAUSE"
            )
        entry["decision"] = decision
        return decision

    def _unusable(self, record: TrialRecord, key: str, metrics: dict[str, Any], entry: Entry) -> None:
        """A report lacks ``key`` or has no number there. Some reports may lack a metric; the rest is an error."""
        trial_id = record.trial.trial_id
        if key in metrics:
            entry["unusable"] = f"it reported {key}={metrics[key]!r}, which is not a number; report a float or an int"
        elif key == self._resource_attr and all(name in metrics for name in self._metrics):
            entry["unusable"] = (
                f"it reported no '{key}' (the scheduler's resource_attr), only {own_names(metrics)}; "
                f"report it in the same call, or pass the right resource_attr to the scheduler"
            )
        elif key not in self._warned_keys:
            self._warned_keys.add(key)
            logger.warning(
                "trial %d reported no '%s', only %s: such a report is kept, but the scheduler does not see it",
                trial_id,
                key,
                own_names(metrics),
            )
        if "unusable" in entry:
            entry["decision"] = _STOP


def own_names(keys: Iterable[str], suffix: str = "") -> str:
    """The user's own keys of a report, for a message."""
    own = [f"{key}{suffix}" for key in keys if not key.startswith("st_")]
    return ", ".join(own) if own else "nothing of its own"
