"""What the tuner knows about its trials: a record of each, and counters over all of them.

It is a function of the event log alone: :meth:`TuningStatus.apply` takes the entries one by one, the same way while an
experiment runs and when one is continued.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from cloudtune import constants
from cloudtune.store import entries
from cloudtune.store.store import Entry
from cloudtune.trial import Config, Trial, TrialStatus
from cloudtune.trial_record import WISH_FAIL, WISH_PAUSE, WISH_STOP, TrialRecord

_REPORT = entries.REPORT
_STATUS: dict[str, TrialStatus] = {status.value: status for status in TrialStatus}

#: For the keys of a report, those that are the user's own; of as many kinds of reports as no sensible experiment has.
_own_keys: dict[tuple[str, ...], tuple[str, ...]] = {}
_MOST_KINDS = 100
_COST, _SECONDS = constants.ST_WORKER_COST, constants.ST_WORKER_TIME


#: A metric's best value, the trial that reported it, and at which resource level, where that is known.
Incumbent = tuple[float, int, float | None]


class TuningStatus:
    """Counters and records of one experiment.

    Args:
        metrics: The metrics to be optimised; by the first of them the incumbent (the best trial so far) is chosen.
        mode: ``"min"`` or ``"max"``, for all or for each.
        resource_attr: Key of a report that counts what a trial has used, or None.
        max_resource_attr: Key of the configuration that says how far to train, or None. It may differ between attempts.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] = (),
        mode: str | Sequence[str] = "min",
        resource_attr: str | None = None,
        max_resource_attr: str | None = None,
    ) -> None:
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        modes = [mode] * len(names) if isinstance(mode, str) else list(mode)
        #: Each metric, and 1 if it is to be small or -1 if it is to be large.
        self.signs = {name: -1.0 if m == "max" else 1.0 for name, m in zip(names, modes, strict=True)}
        self.metric = names[0] if names else None
        self.sign = self.signs[self.metric] if self.metric is not None else 1.0
        self.resource_attr = resource_attr
        self.max_resource_attr = max_resource_attr
        self.records: dict[int, TrialRecord] = {}
        #: Trials that occupy a worker (in progress or stopping), in order of their start.
        self.running: dict[int, TrialRecord] = {}
        #: Trials that go on as soon as a worker is free.
        self.interrupted: dict[int, TrialRecord] = {}
        self.num_suggestions = 0
        self.num_evaluations = 0
        self.num_by_status = dict.fromkeys(TrialStatus, 0)
        #: Dollars: bills, and estimates for attempts that have none yet.
        self.cost = 0.0
        #: Dollars that were billed.
        self.billed_cost = 0.0
        #: Attempts (trial id, attempt) that have ended and whose final bill is still to come.
        self.unsettled: dict[tuple[int, int], None] = {}
        #: Dollars that were billed, and that attempts without a bill may cost at most; set by the tuner, as is what one
        #: more attempt may cost at most.
        self.committed_cost = 0.0
        self.next_attempt_cost = 0.0
        #: Active tuning time in seconds, of the newest entry or as set by the tuner.
        self.wallclock_time = 0.0
        #: Seconds of this run of the tuner that are no active time: nothing ran, and nothing could be started.
        self.waited_time = 0.0
        self.metric_min: dict[str, float] = {}
        self.metric_max: dict[str, float] = {}
        #: For each metric its best value so far as (value, trial id, resource level or None).
        self.incumbents: dict[str, Incumbent] = {}
        #: Where trials are, as the backend has told it; empty as long as none has.
        self.trials_at: dict[str, str] = {}
        #: Why and how (finished, interrupted, failed) the last tuner ended; None while it has not.
        self.finished_why: str | None = None
        self.finished_state: str | None = None

    @property
    def num_trials_started(self) -> int:
        """Trials ever started."""
        return len(self.records)

    @property
    def num_trials_completed(self) -> int:
        """Trials that ended by themselves, with a usable report."""
        return self.num_by_status[TrialStatus.completed]

    @property
    def num_trials_failed(self) -> int:
        """Trials that failed."""
        return self.num_by_status[TrialStatus.failed]

    @property
    def num_trials_finished(self) -> int:
        """Trials that will not run again."""
        counts = self.num_by_status
        return counts[TrialStatus.completed] + counts[TrialStatus.stopped] + counts[TrialStatus.failed]

    @property
    def num_trials_running(self) -> int:
        """Trials that occupy a worker."""
        return len(self.running)

    def apply(self, entry: Entry) -> None:
        """Takes one entry of the log."""
        event = entry["event"]
        if "time" in entry and entry["time"] > self.wallclock_time:
            self.wallclock_time = entry["time"]
        if event == _REPORT:
            self._on_report(entry)
        elif event == entries.COUNTED:
            self._count(self.records[entry["trial"]], entry)
        elif event == entries.SUGGEST:
            self._on_suggest(entry)
        elif event == entries.RETRY:
            record = self.records[entry["trial"]]
            self._start_attempt(record, entry["attempt"], record.trial.config)
        elif event == entries.END:
            self._on_end(entry)
        elif event == entries.BILL:
            self._on_bill(entry)
        elif event == entries.PLACE:
            self.trials_at = entry["trials_at"]
        elif event == entries.FINISH:
            self.finished_why = entry["why"]
            self.finished_state = entry.get("state", entries.FINISHED)
        elif event == entries.EPOCH:
            self.finished_why = self.finished_state = None

    def _on_suggest(self, entry: Entry) -> None:
        self.num_suggestions += 1
        trial_id, attempt, config = entry["trial"], entry["attempt"], entry["config"]
        if attempt == 0:
            record = TrialRecord(Trial(trial_id, config), entry.get("checkpoint_from"))
            self.records[trial_id] = self.running[trial_id] = record
            self.num_by_status[record.status] += 1
        else:
            self._start_attempt(self.records[trial_id], attempt, config)

    def _start_attempt(self, record: TrialRecord, attempt: int, config: Config) -> None:
        before = record.trial.config
        same = config == before or _without(config, self.max_resource_attr) == _without(before, self.max_resource_attr)
        self._leave(record)
        record.begin_attempt(attempt, config, keep_levels=same)
        self.num_by_status[record.status] += 1
        self.running[record.trial.trial_id] = record

    def _leave(self, record: TrialRecord) -> None:
        self.num_by_status[record.status] -= 1
        self.running.pop(record.trial.trial_id, None)
        self.interrupted.pop(record.trial.trial_id, None)

    def set_wish(self, record: TrialRecord, wish: str) -> None:
        """Notes what was asked of a running trial."""
        record.wish = wish
        if record.status is TrialStatus.in_progress:
            self.num_by_status[record.status] -= 1
            record.status = TrialStatus.stopping
            self.num_by_status[record.status] += 1

    def forget_wish(self, wish: str) -> None:
        """Takes back what was asked of running trials and is not in the log: nobody acted on it."""
        for record in self.running.values():
            if record.wish == wish:
                record.wish = None
                self.num_by_status[record.status] -= 1
                record.status = TrialStatus.in_progress
                self.num_by_status[record.status] += 1

    def give_up_checkpoints(self, trial_ids: Iterable[int]) -> list[int]:
        """Notes that trials go on without their checkpoints, if they do; returns which: those that are paused.

        Args:
            trial_ids: Those that the scheduler has called expendable.
        """
        paused = [trial_id for trial_id in trial_ids if self.records[trial_id].status is TrialStatus.paused]
        for trial_id in paused:
            self.records[trial_id].saved = {}
        return paused

    def _on_report(self, entry: Entry) -> None:
        record = self.records[entry["trial"]]
        metrics: dict[str, Any] = entry["metrics"]
        run = entry["run"]
        record.delivered[run] = entry["number"] + 1  # not a count: reports that died with a machine leave gaps
        if run != record.run:
            record.begin_run(run)
        cost = metrics.get(_COST)
        if cost is not None:
            self.cost += record.estimate(entry["attempt"], cost)
        seconds = metrics.get(_SECONDS, 0.0)
        if seconds > record.attempt_time:
            record.attempt_time = seconds
        if record.saved is not None:
            record.saved = metrics
        if "replay" in entry:
            return
        if "late" not in entry:
            self._count(record, entry)
        elif (level := self.level_of(metrics)) is not None:
            record.keep_late(entry, level)

    def level_of(self, metrics: dict[str, Any]) -> float | None:
        """The resource level that a report tells; None if it tells none."""
        level = None if self.resource_attr is None else metrics.get(self.resource_attr)
        return level if type(level) is int or type(level) is float else None

    def _count(self, record: TrialRecord, entry: Entry) -> None:
        """Takes a report that counts."""
        metrics: dict[str, Any] = entry["metrics"]
        record.num_reports += 1
        self.num_evaluations += 1
        last = record.last_metrics
        record.last_metrics = metrics if not last or last.keys() == metrics.keys() else {**last, **metrics}
        level = None if self.resource_attr is None else metrics.get(self.resource_attr)
        if type(level) is int or type(level) is float:
            if level > record.resource_now:
                record.resource_now = level
            if record.late is not None:
                record.forget_late(str(self.resource_attr), level)
        if "extra" in entry:
            if entry.get("unusable"):
                record.reason = entry["unusable"]
                self.set_wish(record, WISH_FAIL)
            return
        record.usable = True
        record.last_result = metrics
        self._track_values(record, metrics)
        decision = entry["decision"]
        if decision == "CONTINUE":
            return
        if decision == "STOP":
            self.set_wish(record, WISH_STOP)
        elif decision == "PAUSE":
            self.set_wish(record, WISH_PAUSE)

    def _track_values(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        lowest, highest = self.metric_min, self.metric_max
        keys = tuple(metrics)
        for name in _own_keys.get(keys) or _own(keys):
            value = metrics[name]
            if (type(value) is not float and not isinstance(value, (int, float))) or value != value:
                continue
            if name not in lowest:
                lowest[name] = highest[name] = value
            elif value < lowest[name]:
                lowest[name] = value
            elif value > highest[name]:
                highest[name] = value
        for name, sign in self.signs.items():
            value = metrics[name]
            if type(value) is not float and not _is_finite(value):
                continue
            best = self.incumbents.get(name)
            if (best is None or sign * value < sign * best[0]) and _is_finite(value):
                level = None if self.resource_attr is None else metrics[self.resource_attr]
                self.incumbents[name] = (value, record.trial.trial_id, level)

    def _on_end(self, entry: Entry) -> None:
        record = self.records[entry["trial"]]
        self._leave(record)
        record.status = _STATUS[entry["status"]]
        record.reason = entry.get("reason") or ""
        self.num_by_status[record.status] += 1
        record.wish = None
        if record.status is TrialStatus.interrupted:
            self.interrupted[record.trial.trial_id] = record
        if entry.get("bill_follows"):
            self.unsettled[entry["trial"], entry["attempt"]] = None

    def _on_bill(self, entry: Entry) -> None:
        if entry["dollars"] is not None:
            record, attempt = self.records[entry["trial"]], entry["attempt"]
            self.billed_cost += entry["dollars"] - (record.bills or {}).get(attempt, 0.0)
            self.cost += record.bill(attempt, entry["dollars"])
        if entry["final"]:
            self.unsettled.pop((entry["trial"], entry["attempt"]), None)

    @property
    def incumbent(self) -> Incumbent | None:
        """Best value of the first metric so far, or None before the first finite one."""
        return None if self.metric is None else self.incumbents.get(self.metric)

    def why_no_result(self) -> str:
        """Why there is no best value yet, and what to do about it: the second half of a message."""
        reported = dict.fromkeys(
            key
            for record in self.records.values()
            for key in record.last_metrics
            if not key.startswith(constants.RESERVED_PREFIX)
        )
        if self.metric in reported:
            return (
                f"no value of '{self.metric}' so far is a finite number; "
                "look in the training script for what makes it infinite or NaN"
            )
        if reported:
            return (
                f"no trial has reported '{self.metric}', only {', '.join(reported)}; "
                "report it, or pass the right metric to the scheduler"
            )
        failures = self.failures()
        if failures:
            return f"trial {failures[0].trial.trial_id} failed: {failures[0].first_reason}"
        return (
            f"no trial has reported anything so far; call report({self.metric}=...) in the training script, "
            "or let the experiment run for longer"
        )

    def failures(self) -> Sequence[TrialRecord]:
        """The failed trials, in order of their ids."""
        return [r for r in self.records.values() if r.status is TrialStatus.failed]


def _own(keys: tuple[str, ...]) -> tuple[str, ...]:
    own = tuple(key for key in keys if not key.startswith(constants.RESERVED_PREFIX))
    if len(_own_keys) < _MOST_KINDS:
        _own_keys[keys] = own
    return own


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _without(config: Config, key: str | None) -> Config:
    return {k: v for k, v in config.items() if k != key}
