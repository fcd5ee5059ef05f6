"""Names with a time stamp for experiments that begin remotely: each is one tuner's. Unfinished ones are mentioned."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from cloudtune.aws.s3 import Bucket
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.store.entries import FINISH, INTERRUPTED
from cloudtune.store.places import experiment_path, is_suffix, shortened_base, suffixed_name
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_log import newest_entry

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: So many experiments of a base name are looked at, the newest first, until one is unfinished.
_LOOKED_AT = 5
#: Seconds that a launch waits at its end for what may be mentioned.
_PATIENCE = 5.0

#: Names that tuners of this process have, or are launched under.
_given: WeakValueDictionary[str, Tuner] = WeakValueDictionary()
_lock = threading.Lock()


class NameTaken(CloudtuneError):
    """Another experiment has the name that a new one was to have."""


def reserve_name(tuner: Tuner) -> None:
    """Gives a new tuner a name that no other tuner of this process is launched under."""
    with _lock:
        while _given.setdefault(tuner.name, tuner) is not tuner:
            take_next_name(tuner)


def take_next_name(tuner: Tuner) -> None:
    """Has a new tuner leave its name to another experiment, and take that of the next millisecond."""
    before = tuner.name
    while tuner.name == before:
        tuner.creation_time += 0.001
        tuner.name = suffixed_name(tuner.base_name, tuner.creation_time)
    tuner.tuner_path = experiment_path(tuner.name)


class Unfinished:
    """The newest experiment of the same base name that was killed or interrupted; it is looked for in the background.

    Args:
        bucket: Where experiments lie.
        prefix: What stands before ``cloudtune/`` in it.
        tag: What experiments of one study have in common, or "".
        tuner: Of the experiment that begins.
    """

    def __init__(self, bucket: Bucket, prefix: str, tag: str, tuner: Tuner) -> None:
        self._beside = S3Experiment(bucket.with_patience(0), prefix, tuner.name, tag)
        self._base = shortened_base(tuner.base_name)
        self._looking: Future[tuple[str, str] | None] = bucket.aws.threads.submit(self._look)

    def mention(self) -> None:
        """Says how it is continued, if there is one."""
        wait([self._looking], _PATIENCE)
        unfinished = self._looking.result() if self._looking.done() else None
        if unfinished is not None:
            logger.info(
                "experiment '%s' is not finished; to continue it, run `cloudtune resume %s`",
                *unfinished,
            )

    def _look(self) -> tuple[str, str] | None:
        """Its name, and what commands know it by."""
        try:
            return next(((one.label, one.known_as) for one in self._newest() if _is_unfinished(one)), None)
        except CloudtuneError as error:  # a new experiment does not depend on old ones
            logger.debug("unfinished experiments were not looked for: %s", error)
            return None

    def _newest(self) -> list[S3Experiment]:
        new = self._beside
        folder = "/".join(part for part in (new.prefix, "cloudtune", new.tag) if part)
        dated = new.bucket.folders(f"{folder}/{self._base}-")
        names = [f"{self._base}-{date}" for date in dated if is_suffix(f"-{date}")]
        others = sorted(set(names) - {new.name}, reverse=True)[:_LOOKED_AT]
        return [S3Experiment(new.bucket, new.prefix, name, new.tag) for name in others]


def _is_unfinished(experiment: S3Experiment) -> bool:
    from cloudtune.remote.launches import newest_launch
    from cloudtune.remote.standing import driver_of
    from cloudtune.remote.tuner_job import TunerPlace

    bucket, root = experiment.bucket, experiment.root
    last = newest_entry(bucket, root)
    if last is None or (last["event"] == FINISH and last.get("state") != INTERRUPTED):
        return False
    newest = newest_launch(TunerPlace(bucket, root), patience=0)
    job = None if newest is None else newest[1]
    return (job is None or job.is_terminal) and driver_of(read_lease(bucket, root), job) is None
