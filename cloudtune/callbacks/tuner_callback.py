"""What a callback can be told while an experiment runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudtune.trial import Trial, TrialStatus

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner
    from cloudtune.tuning_status import TuningStatus


class TunerCallback:
    """Base of callbacks; override what is of interest.

    Callbacks run in the tuner's thread, one after another, and should be quick. An exception raised in one ends the
    experiment: running trials are stopped and everything received is kept before it is raised again.
    """

    def on_log_read(self) -> None:
        """What the log tells is known; the backend is about to open, and to take over what runs."""

    def on_tuning_start(self, tuner: Tuner) -> None:
        """The log is open and the backend attached; nothing was started yet in this run."""

    def on_tuning_end(self) -> None:
        """Nothing runs any more and the results are written. Also called after an error."""

    def on_start_trial(self, trial: Trial) -> None:
        """A new trial is about to start."""

    def on_resume_trial(self, trial: Trial) -> None:
        """A paused or interrupted trial is about to run again, as attempt ``trial.attempt``."""

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        """A report arrived; ``decision`` is CONTINUE, PAUSE or STOP."""

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """A trial ended by itself; ``result`` is its last report."""

    def on_trial_end(self, trial: Trial, status: TrialStatus, result: dict[str, Any], reason: str) -> None:
        """An attempt ended and the trial now has ``status``; ``reason`` tells why if there is something to tell."""
        if status is TrialStatus.completed:
            self.on_trial_complete(trial, result)

    def on_interrupt(self, text: str) -> bool:
        """A signal asks the experiment to end; ``text`` tells the user so.

        Called from the signal handler, which may interrupt anything, this callback included: take a note, do nothing.

        Returns:
            True if the callback shows the text, in its next :meth:`on_time`; otherwise it goes to standard error.
        """
        return False

    def next_time(self) -> float | None:
        """Unix time (``wall_time`` of the backend) at which :meth:`on_time` is wanted at the latest, or None."""
        return None

    def on_time(self, now: float, status: TuningStatus) -> None:
        """Called in the first turn of the loop at or after :meth:`next_time`."""
