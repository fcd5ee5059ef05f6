"""Carrying an experiment on beyond the longest time that one job may run: by a successor of the tuner's job."""

from __future__ import annotations

import logging
from pathlib import Path

from cloudtune.agent import protocol
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.remote.launching import LaunchedElsewhere
from cloudtune.remote.own_job import OwnJob, Time
from cloudtune.remote.successor import create_successor
from cloudtune.remote.time_limit import hand_over_after
from cloudtune.remote.tuner_job import Settings
from cloudtune.tuner import Tuner
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

#: When the job's age is asked for, in seconds from the tuner's beginning, and of a short limit this part of it.
_FIRST_LOOK = 60.0
_FIRST_LOOK_PART = 0.1
#: Seconds that the loop waits for the answer at most.
_PATIENCE = 5.0


class HandOver(TunerCallback):
    """Ends the tuner in order shortly before its job's time is over, and creates the job that continues.

    Jobs of trials go on meanwhile; trials on the tuner's own machine are paused.

    Args:
        job: This job.
        settings: What this job was told.
    """

    def __init__(self, job: OwnJob, settings: Settings) -> None:
        self._job = job
        self._settings = settings
        self._tuner: Tuner | None = None
        self._at: float | None = None
        self._limit = float(settings.max_run)
        self._asked = False
        #: The tuner was ended, or never began, for want of time.
        self.is_due = False

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._tuner = tuner
        # How long the job has run already is asked a little later: it is not to hold up the first trials.
        self._at = tuner.trial_backend.time() + self._first_look

    def next_time(self) -> float | None:
        return None if self.is_due else self._at

    def on_time(self, now: float, status: TuningStatus) -> None:
        if self._tuner is None or self.is_due:
            return
        if not self._asked:
            self._asked = True
            times = self._job.times(_PATIENCE) or [Time(self._first_look, self._settings.max_run)]
            self._at, self._limit = min((now + hand_over_after(time.limit) - time.passed, time.limit) for time in times)
        if self._at is not None and now >= self._at:
            self.is_due = True
            logger.info("the job ends after %d seconds: a successor carries on", self._limit)
            self._tuner.interrupt("handing over to another job")

    @property
    def _first_look(self) -> float:
        return min(_FIRST_LOOK, self._settings.max_run * _FIRST_LOOK_PART)

    def on_tuning_end(self) -> None:
        self._tuner = None

    def complete(self, channel: Path) -> str | None:
        """Creates the successor if there is to be one; its name.

        Args:
            channel: Folder with what the launcher has shipped.

        Raises:
            AwsError: It could not be created; the same launch command continues as well.
        """
        if not self.is_due:
            return None
        job, place = self._job, self._job.place
        described = job.aws.call("sagemaker", "describe_training_job", TrainingJobName=job.name)
        tags = job.aws.call("sagemaker", "list_tags", ResourceArn=described["TrainingJobArn"])["Tags"]
        shipped = {path.name: path.read_bytes() for path in sorted(channel.iterdir()) if path.name != protocol.TASK}
        try:
            return create_successor(place, described, tags, self._settings, shipped, job.attempt + 1)
        except LaunchedElsewhere as other:
            logger.info("%s", other)
            return None
