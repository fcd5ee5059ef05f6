"""Trials that an earlier tuner has left, where the next one is told to end before it has begun.

To read a long log takes a while, and the job is killed two minutes after it was told. The tuner ends its trials once it
has read the log; should it not come to that, they have been told already, by one write to S3.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cloudtune.aws.errors import AwsError
from cloudtune.aws.signs_of_life import call_off
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.errors import ExperimentLocked
from cloudtune.interruption import SignalWatch
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.trials_place import place_of_trials
from cloudtune.store.s3_lease import check_free, read_lease

logger = logging.getLogger(__name__)

#: Seconds between two looks whether the job was told to end, and between two tries to tell its trials.
_LOOK = 0.5
_RETRY = 3.0


class _HasBegun(Exception):
    """The tuner itself ends its trials."""


class EarlyEnd(TunerCallback):
    """Calls trials off in a thread of its own, until the tuner has read the log.

    From then on the tuner tells its trials what to do, and whatever another one writes there says that this tuner has
    lost them.

    Args:
        job: This job.
        signals: That it receives.
        leaves_running: Whether trials go on without it; asked once it was told.
        kms_key: Encrypts what trials are told.
    """

    def __init__(
        self, job: OwnJob, signals: SignalWatch, leaves_running: Callable[[], bool], kms_key: str | None = None
    ) -> None:
        self._job = job
        self._kms_key = kms_key
        self._signals = signals
        self._leaves_running = leaves_running
        self._begun = threading.Event()

    def start(self) -> None:
        """Begins to look."""
        threading.Thread(target=self._run, name="cloudtune early end", daemon=True).start()

    def on_log_read(self) -> None:
        self._begun.set()

    def _run(self) -> None:
        while self._signals.received is None:
            if self._begun.wait(_LOOK):
                return
        if self._leaves_running():
            return
        while True:
            try:
                self._call_off()
            except _HasBegun:
                return
            except (AwsError, ExperimentLocked) as error:
                logger.debug("trials of an earlier tuner were not told to end: %s", error)
            else:
                return
            if self._begun.wait(_RETRY):
                return

    def _call_off(self) -> None:
        trials = place_of_trials(self._job.place)
        if trials and call_off(self._job.aws, trials, self._check_ours, self._kms_key):
            logger.info("the tuner is to end before it has begun: trials that run are told to end")

    def _check_ours(self) -> None:
        """Raises ExperimentLocked if somebody else may drive the experiment, and _HasBegun if the tuner here does."""
        place = self._job.place
        lease = read_lease(place.bucket, place.root)
        if lease is not None and lease.owner.get("job") != self._job.name:
            check_free(lease, place.root, JobEnded(place.bucket.aws))
        # After the look at what the tuner writes as soon as it has begun: what it has written since is not overwritten.
        if self._begun.is_set():
            raise _HasBegun
