"""What the end of an attempt means for its trial, and for the scheduler."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.report_judge import own_names
from cloudtune.trial import End, Outcome, TrialStatus
from cloudtune.trial_record import WISH_END, WISH_FAIL, WISH_PAUSE, WISH_STOP, TrialRecord

#: After this many interruptions in a row without a single report, a trial counts as failed.
MAX_INTERRUPTIONS = 3


class EndJudge:
    """Judges the ends of attempts in one run of the tuner.

    Args:
        required: What a report must have for the scheduler to see it.
        left: Trials of an earlier tuner whose end is still to come: that they were interrupted is not their fault.
        max_resource_attr: Key of a configuration that tells a script how far to train, or None.
    """

    def __init__(self, required: Sequence[str], left: Collection[int], max_resource_attr: str | None = None) -> None:
        self._required = required
        self._max_resource_attr = max_resource_attr
        self._left = set(left)
        #: Interruptions since the last report, for each trial, while this tuner has driven it.
        self._interruptions: dict[int, int] = {}

    def has_reported(self, trial_id: int) -> None:
        """A trial gets somewhere: its interruptions so far do not count."""
        if self._interruptions:
            self._interruptions.pop(trial_id, None)

    def status_after(self, record: TrialRecord, end: End) -> tuple[TrialStatus, str]:
        """What an ended attempt means for its trial, given what was asked of it; with the reason. Once for each end."""
        was_left = end.trial_id in self._left
        self._left.discard(end.trial_id)
        wish, outcome = record.wish, end.outcome
        if wish == WISH_FAIL:
            return TrialStatus.failed, record.reason
        if outcome is Outcome.failed:
            return TrialStatus.failed, end.reason
        if wish == WISH_PAUSE:
            return TrialStatus.paused, end.reason
        if wish == WISH_STOP:
            return (TrialStatus.completed if outcome is Outcome.completed else TrialStatus.stopped), end.reason
        if outcome is Outcome.completed:
            return self._status_after_completion(record)
        # A decision to stop is in the log before the trial is told; without one, an earlier tuner was just ending.
        if outcome is Outcome.stopped and wish != WISH_END and not was_left:
            return TrialStatus.stopped, end.reason or "stopped from outside"
        if outcome is Outcome.interrupted and not was_left and not end.blameless:
            times = self._interruptions[end.trial_id] = self._interruptions.get(end.trial_id, 0) + 1
            if times > MAX_INTERRUPTIONS:
                return (
                    TrialStatus.failed,
                    f"interrupted {times} times in a row without a report in between; {end.reason}",
                )
        return TrialStatus.interrupted, end.reason or "ended with the tuner"

    def _status_after_completion(self, record: TrialRecord) -> tuple[TrialStatus, str]:
        """A script that ends well but never said anything usable has failed: nothing can be learnt from it."""
        if record.usable:
            return TrialStatus.completed, ""
        missing = [key for key in self._required if key not in record.last_metrics]
        call = f"report({own_names(dict.fromkeys(self._required), '=...')})"
        if not record.last_metrics:
            told = self._max_resource_attr
            told_so = f", which was told {told}={record.trial.config.get(told)}" if told is not None else ""
            return TrialStatus.failed, f"it ended without a report; call {call} in the training script{told_so}"
        if not missing:
            return TrialStatus.failed, (
                f"it reported {own_names(dict.fromkeys(self._required))}, but never together; "
                f"put them into one report: {call}"
            )
        return TrialStatus.failed, (
            f"it never reported {own_names(dict.fromkeys(missing))}, only {own_names(record.last_metrics)}; "
            "report it, or pass the right name to the scheduler"
        )


def tell_scheduler(scheduler: TrialScheduler, record: TrialRecord) -> None:
    """Tells the scheduler that an attempt has ended, by the status the trial has now. Also used when continuing."""
    status = record.status
    if status is TrialStatus.completed:
        scheduler.on_trial_complete(record.trial, record.last_result)
    elif status is TrialStatus.failed:
        scheduler.on_trial_error(record.trial)
    elif status in (TrialStatus.stopped, TrialStatus.paused):
        scheduler.on_trial_remove(record.trial)


def is_last(end: End, record: TrialRecord) -> bool:
    """Whether a trial, unless it was to pause, does not go on after this end."""
    if end.outcome is Outcome.stopped:
        return record.wish != WISH_END
    return end.outcome in (Outcome.completed, Outcome.failed)
