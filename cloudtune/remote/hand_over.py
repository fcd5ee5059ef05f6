"""Carrying an experiment on beyond the longest time that one job may run: by a successor of the tuner's job."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from cloudtune.agent import protocol
from cloudtune.aws.errors import PASSING, AwsError, NoCapacity, QuotaReached
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.errors import CloudtuneError
from cloudtune.interruption import SignalWatch
from cloudtune.remote.launches import HANDING_OVER, newest_launch
from cloudtune.remote.launching import LaunchedElsewhere, check_none_under_way
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.successor import create_successor
from cloudtune.remote.time_limit import hand_over_after
from cloudtune.remote.tuner_job import TIME_TO_END, Settings, TunerPlace
from cloudtune.tuner import Tuner
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

#: When the job's age is asked for, in seconds from the tuner's beginning, and of a short limit this part of it. Where
#: nobody tells, it is asked for again after as long.
_FIRST_LOOK = 60.0
_FIRST_LOOK_PART = 0.1
#: Seconds that the loop waits for the answer at most.
_PATIENCE = 5.0
#: What may be otherwise in a while. An instance becomes free when the job of a trial ends, say.
_WAITS_FOR = (QuotaReached, NoCapacity, LaunchedElsewhere, *PASSING)
#: So long before the job's end, in seconds, and of a short limit this part before, a successor is given up.
_LAST = 60.0
_LAST_PART = 0.1
#: Between two tries, in seconds: this part of what is left, and at least and at most so much.
_PAUSE_PART = 0.1
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: Between two looks whether the job is told to end, while nothing else is done.
_LOOK = 0.5


class HandOverFailed(CloudtuneError):
    """No job carries the experiment on; the message says why, and how it is continued."""


class HandOver(TunerCallback):
    """Ends the tuner in order shortly before its job's time is over, and creates the job that continues.

    Jobs of trials go on meanwhile; trials on the tuner's own machine are paused.

    Args:
        job: This job.
        settings: What this job was told.
        signals: That the job receives.
    """

    def __init__(self, job: OwnJob, settings: Settings, signals: SignalWatch) -> None:
        self._job = job
        self._settings = settings
        self._signals = signals
        self._tuner: Tuner | None = None
        self._at: float | None = None
        self._limit = float(settings.max_run)
        self._ask_at: float | None = None
        #: When the job's time is over, by the clock that nobody sets: as if it had begun now, until somebody tells.
        self._over_at = time.monotonic() + settings.max_run
        self._random = random.Random()  # for jitter only
        #: The tuner was ended, or never began, for want of time.
        self.is_due = False

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._tuner = tuner
        now = tuner.trial_backend.wall_time()
        # How long the job has run already is asked a little later: it is not to hold up the first trials.
        self._ask_at = now + self._first_look
        self._at = now + hand_over_after(self._limit)

    def next_time(self) -> float | None:
        if self.is_due or self._at is None:
            return None
        return self._at if self._ask_at is None else min(self._at, self._ask_at)

    def on_time(self, now: float, status: TuningStatus) -> None:
        if self._tuner is None or self.is_due or self._at is None:
            return
        if self._ask_at is not None and now >= self._ask_at:
            left = self._find_out()
            self._ask_at = now + self._first_look if left is None else None
            if left is not None:
                self._at = now + left - (self._limit - hand_over_after(self._limit))
        if now >= self._at:
            self.is_due = True
            logger.info("the job ends after %d seconds: a successor carries on", self._limit)
            self._tuner.interrupt(HANDING_OVER)

    @property
    def _first_look(self) -> float:
        return min(_FIRST_LOOK, self._settings.max_run * _FIRST_LOOK_PART)

    def _find_out(self) -> float | None:
        """Asks how many seconds the job has left by the limit by which it hands over first; None: nobody tells."""
        times = self._job.times(_PATIENCE)
        if not times:
            return None
        first = min(times, key=lambda one: hand_over_after(one.limit) - one.passed)
        self._limit = first.limit
        self._over_at = time.monotonic() + first.limit - first.passed
        return first.limit - first.passed

    def on_tuning_end(self) -> None:
        self._tuner = None

    # ------------------------------------------------------------------ the successor

    def complete(self, channel: Path) -> str | None:
        """Creates the successor if there is to be one; its name.

        What may be otherwise in a while, such as a quota that is used up, is tried again until the job's own end.

        Args:
            channel: Folder with what the launcher has shipped.

        Raises:
            HandOverFailed: It could not be created; the same launch command continues as well.
            TuningInterrupted: The job is told to end meanwhile; :attr:`is_due` is false if its time is not over.
        """
        if not self.is_due:
            return None
        shipped = {path.name: path.read_bytes() for path in sorted(channel.iterdir()) if path.name != protocol.TASK}
        until = self._latest()
        was_told = self._signals.received is not None
        waits = False
        while True:
            left = until - time.monotonic()
            try:
                name = self._create(shipped, max(0.0, min(_LONGEST_PAUSE, left)))
            except _WAITS_FOR as error:
                pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, left * _PAUSE_PART)) * self._random.uniform(0.8, 1.2)
                if left < pause:
                    raise self._failed(error) from error
                logger.log(
                    logging.DEBUG if waits else logging.WARNING,
                    "the successor cannot be created at the moment, trying again for %.0f seconds: %s",
                    left,
                    error,
                )
                waits = True
                if self._is_told_within(pause, was_told):
                    self._give_up(error)
            except AwsError as error:
                raise self._failed(error) from error
            else:
                if not was_told and self._signals.received is not None and self._is_stopped():
                    self._give_up(None)
                return name

    def _latest(self) -> float:
        """When a successor is given up, by the clock that nobody sets."""
        if self._signals.received is not None:
            return time.monotonic() + self._signals.time_left(TIME_TO_END)
        self._find_out()
        return self._over_at - min(_LAST, self._limit * _LAST_PART)

    def _create(self, shipped: Mapping[str, bytes], patience: float) -> str:
        job, place = self._job, TunerPlace(self._job.place.bucket.with_patience(patience), self._job.place.root)
        attempts = place.attempts()
        newest = newest_launch(place, patience, attempts)
        if newest is not None and newest[0] > job.attempt and not newest[1].is_terminal:
            # Of an earlier try whose answer was lost, or somebody else's.
            logger.info("training job %s carries on", newest[1].name)
            return newest[1].name
        try:
            check_none_under_way(place, attempts, None if newest is None else newest[0])
        except LaunchedElsewhere as other:
            # It was this job if it was about to do it already, before its machine was replaced.
            if other.job is None or other.job != job.name:
                raise
        described = job.aws.call("sagemaker", "describe_training_job", patience=patience, TrainingJobName=job.name)
        arn = described["TrainingJobArn"]
        tags = job.aws.call("sagemaker", "list_tags", patience=patience, ResourceArn=arn)["Tags"]
        attempt = max([job.attempt, *attempts]) + 1
        return create_successor(place, described, tags, self._settings, shipped, attempt, patience)

    def _is_told_within(self, seconds: float, was_told: bool) -> bool:
        """Waits for so long, or until the job is told to end, if it was not before."""
        until = time.monotonic() + seconds
        while was_told or self._signals.received is None:
            left = until - time.monotonic()
            if left <= 0:
                return False
            # Not an event that the handler sets: it may run in the very thread that holds the event's lock.
            threading.Event().wait(min(_LOOK, left))
        return True

    def _give_up(self, error: Exception | None) -> None:
        """The job is told to end. Only where that is because its time is over, it has failed to hand over."""
        if self._is_stopped():
            self._withdraw()
        elif self._job.time_is_over and error is not None:
            raise self._failed(error) from error
        self.is_due = False
        raise self._signals.error() from error

    def _is_stopped(self) -> bool:
        """Whether somebody has ended the job, which was told to end, and with it the experiment."""
        return self._job.ends_for_good() and not self._job.time_is_over

    def _withdraw(self) -> None:
        """Stops the successor, if it was created at the same moment, or no answer came when it was."""
        job = self._job
        place = TunerPlace(job.place.bucket.with_patience(_PATIENCE), job.place.root)
        try:
            newest = newest_launch(place, _PATIENCE)
            if newest is not None and newest[0] > job.attempt and not newest[1].is_terminal:
                logger.info("the job is to end: its successor %s is stopped as well", newest[1].name)
                TrainingJobs(job.aws).stop(newest[1].name, _PATIENCE)
        except AwsError as error:
            logger.warning(
                "whether a successor goes on with experiment '%s' is not known: `cloudtune stop %s` ends it (%s)",
                self._settings.name,
                self._settings.name,
                error,
            )

    def _failed(self, error: Exception) -> HandOverFailed:
        return HandOverFailed(
            f"training job {self._job.name} has used up its time: `cloudtune resume {self._settings.name}` continues "
            f"the experiment, for the successor that was to do so could not be created ({str(error).rstrip('.')})"
        )
