"""Writes what gathering the results of a study reads: one object for each experiment, by the store that drives it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from cloudtune.aws.errors import AwsError, InvalidRequest
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import Fenced
from cloudtune.store.entries import FINISH, FINISHED
from cloudtune.store.results import read_results
from cloudtune.store.s3_chain import Chain
from cloudtune.store.s3_file import OwnedObject
from cloudtune.store.store import Entry
from cloudtune.store.study_place import StudyPlace

logger = logging.getLogger(__name__)

#: Seconds until it is tried again to say that the experiment runs.
_RETRY = 60.0


class StudyResults:
    """The results object of one experiment, see :mod:`cloudtune.store.results_object`, for one tuner.

    That it cannot be written is no error: whoever gathers results reads the log then.

    Args:
        bucket: Where the experiment lies.
        root: Its prefix. One that is no experiment's of a study has no such object.
        epoch: Of the tuner.
        confirm: Raises Fenced if the experiment is not ours any more.
    """

    def __init__(self, bucket: Bucket, root: str, epoch: int, confirm: Callable[[], None]) -> None:
        self._name = root.rstrip("/").rpartition("/")[2]
        self._key = results_key(bucket, root)
        self._object = OwnedObject(bucket, self._key or "", confirm)
        self._where = bucket.uri(self._key or "")
        self._epoch = epoch
        self._is_told = self._key is None
        self._next_try = float("-inf")
        self._state: str | None = None
        #: As it was written last; None: it was not.
        self.metadata: dict[str, Any] | None = None
        #: Says that the experiment runs.
        self.job: Future[None] | None = None

    def note(self, entries: Sequence[Entry]) -> None:
        """Told of all entries that the tuner appends."""
        for entry in entries:
            if entry["event"] == FINISH:
                self._state = entry.get("state", FINISHED)

    def maintain(self, now: float, length: int, in_background: Callable[[Callable[[], None]], Future[None]]) -> None:
        """Says once, in the background, that the experiment runs: until it ends its log is what counts.

        Args:
            now: Unix seconds.
            length: How many entries the log has.
            in_background: Does something in a thread.
        """
        if self._is_told or now < self._next_try or (self.job is not None and not self.job.done()):
            return
        self._next_try = now + _RETRY
        self.job = in_background(lambda: self._tell(length))

    def _tell(self, length: int) -> None:
        from cloudtune.store.results_object import running_object

        try:
            self._object.put(running_object(self._name, self._epoch, length))
            self._is_told = True
        except (AwsError, Fenced) as error:
            logger.debug("%s does not say that the experiment runs: %s", self._where, error)

    def finish(self, chain: Chain) -> None:
        """Writes the whole table, if the tuner has ended in order.

        Args:
            chain: The log, up to date.

        Raises:
            Fenced: Another tuner took over.
        """
        if self._key is None or self._state is None or self.metadata is None:
            return
        from cloudtune.store.results_object import Heading, PackedTable, table_object

        entries = chain.length()
        table = PackedTable.of(read_results(chain.blocks(end=entries)))
        heading = Heading(self._name, self._state, self._epoch, entries, table.rows)
        try:
            self._object.put(table_object(heading, table, self.metadata))
        except (AwsError, OSError) as error:
            logger.warning(
                "%s was not written, so gathering reads the event log, which has all: %s", self._where, error
            )


def results_key(bucket: Bucket, root: str) -> str | None:
    """Where the results of an experiment lie for those who gather them.

    Args:
        bucket: Of the experiment.
        root: Its prefix, with a slash at its end.

    Returns:
        The key; None where the prefix is not ``[prefix/]cloudtune/<tag>/<name>/``.
    """
    parts = root.rstrip("/").split("/")
    try:
        place = StudyPlace.of_experiment(bucket, root)
        return place.results_of(parts[-1]) if place.experiment(parts[-1]) == root else None
    except (InvalidRequest, ValueError):  # too few parts, or such that no experiment is called so
        return None
