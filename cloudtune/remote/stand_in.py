"""Signs of life for a tuner that has ended, while a successor is tried for: its trials are not to take it for dead."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from cloudtune.aws.errors import AwsError
from cloudtune.aws.signs_of_life import give_sign
from cloudtune.errors import Fenced
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.trials_place import place_of_trials
from cloudtune.store.s3_lease import read_lease

logger = logging.getLogger(__name__)


class StandIn:
    """Gives the signs while it is entered, in a thread of its own, unless another tuner drives the experiment.

    Args:
        job: Of the tuner that has ended; it has driven the experiment last.
        interval: Seconds between two signs; None: the trials need none.
    """

    def __init__(self, job: OwnJob, interval: float | None) -> None:
        self._job = job
        self._interval = interval
        self._over = threading.Event()

    def __enter__(self) -> None:
        if self._interval is not None:
            threading.Thread(target=self._run, name="cloudtune stand-in", daemon=True).start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Nobody waits for the thread: a sign that comes late changes nothing for whoever has begun by then.
        self._over.set()

    def _run(self) -> None:
        trials = ""
        # The tuner's own last sign is younger than one interval.
        while not self._over.wait(self._interval):
            try:
                trials = trials or place_of_trials(self._job.place)
                if not trials or not give_sign(self._job.aws, trials, self._check_ours, self._kms_key):
                    return
            except Fenced as error:
                logger.info("no more signs of life are given: %s", error)
                return
            except AwsError as error:
                logger.debug("a sign of life is given later: %s", error)

    @property
    def _kms_key(self) -> str | None:
        return self._job.place.bucket.kms_key

    def _check_ours(self) -> None:
        """Raises Fenced if another tuner has the experiment, or this one has it again."""
        place = self._job.place
        lease = read_lease(place.bucket, place.root)
        if lease is None or lease.owner.get("job") != self._job.name or self._over.is_set():
            raise Fenced(f"another tuner drives experiment '{place.experiment}' by now, or is about to")
