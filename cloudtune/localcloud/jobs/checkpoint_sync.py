"""Checkpoints: from S3 before the container starts, back to S3 while it runs and when it has ended.

Whole files go up, when time or size changed; what is deleted here stays in S3, as on AWS. A file that changes while it
is read is left for the next pass, so that nothing half-written replaces what is in S3. What S3 refuses keeps nothing
else from going up.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.failure_reasons import JobFailed, download_failed, upload_failed
from cloudtune.localcloud.jobs.inputs import check_paths
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.storage import Storage, StorageError

_log = logging.getLogger(__name__)

#: Two writes within the clock tick of a file system may leave one time: a file younger than this goes up once more.
_CLOCK_TICK_NS = 50_000_000
_CHUNK = 1 << 20


class CheckpointSync:
    """The checkpoints of one host of one run.

    Args:
        storage: Where they are kept.
        place: The prefix in S3.
        ml_folder: What the container sees as ``/opt/ml``.
        path: Of the checkpoints below it.
        largest: Bytes that the job's volume holds: what is beyond that stays behind. None: all goes up.
    """

    def __init__(
        self, storage: Storage, place: S3Location, ml_folder: str, path: str, largest: int | None = None
    ) -> None:
        self._storage = storage
        self._place = place.below()
        self._ml_folder = ml_folder
        self._path = path
        self._largest = largest
        self._uploaded: dict[str, tuple[int, int, int]] = {}

    def download(self, between: Callable[[], None]) -> None:
        """Brings what is in S3.

        Args:
            between: Called again and again meanwhile: raises to end it.

        Raises:
            JobFailed: S3 does not have it.
            OSError: The disk is full.
        """
        folder = os.path.join(self._ml_folder, self._path)
        os.makedirs(folder, exist_ok=True)
        prefix = self._place.key + "/" if self._place.key else ""
        try:
            keys = [found.key for found in self._storage.list(self._place.bucket, prefix)]
            files = {key: key[len(prefix) :] for key in keys if not key.endswith("/")}
            check_paths(files.values(), "the checkpoints")
            for key, path in files.items():
                target = os.path.join(folder, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                self._storage.download(self._place.bucket, key, target, between)
                between()
                self._uploaded[path] = _signature(os.stat(target))
        except StorageError as error:
            raise JobFailed(download_failed(f"checkpoints in {self._place.uri}: {error}")) from error

    def upload_changed(self, between: Callable[[], None]) -> None:
        """One pass while the container runs: what cannot be read or stored now is tried again at the next one.

        Args:
            between: Called again and again meanwhile: raises to end it.
        """
        for error in self._upload(between):
            _log.debug("A checkpoint did not go up to %s, the next pass tries again: %s", self._place.uri, error)

    def upload_rest(self, between: Callable[[], None]) -> None:
        """The last pass, when nothing writes any more.

        Args:
            between: Called again and again meanwhile: raises to end it.

        Raises:
            JobFailed: S3 did not take a file; the others are there.
            OSError: A file cannot be read or written, because the disk is full, say.
        """
        for error in self._upload(between):
            if isinstance(error, StorageError):
                raise JobFailed(upload_failed(f"checkpoints to {self._place.uri}: {error}")) from error
            raise error

    def _upload(self, between: Callable[[], None]) -> list[StorageError | OSError]:
        """What went wrong."""
        errors: list[StorageError | OSError] = []
        left = self._largest
        for file in job_files.walk(self._ml_folder, self._path):
            between()
            if left is not None:
                left -= file.status.st_size
                if left < 0:
                    _log.warning("Checkpoints beyond the volume's size do not go up to %s.", self._place.uri)
                    break
            if self._uploaded.get(file.path) == _signature(file.status):
                continue
            try:
                if self._store(file, between) and time.time_ns() - file.status.st_mtime_ns > _CLOCK_TICK_NS:
                    self._uploaded[file.path] = _signature(file.status)
            except (StorageError, OSError) as error:
                errors.append(error)
        return errors

    def _store(self, file: job_files.JobFile, between: Callable[[], None]) -> bool:
        """Whether the file went up: it did if it was the same from its beginning to its end."""
        fd = job_files.open_file(file.folder, file.name)
        if fd is None:
            return False
        place = self._place.below(os.fsencode(file.path).decode("utf-8", "replace"))
        with open(fd, "rb") as source, self._storage.writing(place.bucket, place.key, between) as new:
            left = file.status.st_size
            while chunk := source.read(min(_CHUNK, left)):  # no more than there was, or a growing file never ends
                new.write(chunk)
                left -= len(chunk)
            new.dropped = _signature(os.fstat(fd)) != _signature(file.status)
        return not new.dropped


def _signature(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino
