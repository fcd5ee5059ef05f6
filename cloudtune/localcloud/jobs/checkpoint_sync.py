"""Checkpoints: from S3 before the container starts, back to S3 while it runs and when it has ended.

Whole files go up, when time or size changed; what is deleted here stays in S3, as on AWS. A file that changes while it
is read is left for the next pass, so that nothing half-written replaces what is in S3.
"""

from __future__ import annotations

import logging
import os
import shutil
import time

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.failure_reasons import JobFailed, download_failed, upload_failed
from cloudtune.localcloud.jobs.inputs import check_paths
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.storage import Storage, StorageError

_log = logging.getLogger(__name__)

#: Two writes within the clock tick of a file system may leave one time: a file younger than this goes up once more.
_CLOCK_TICK_NS = 50_000_000


class CheckpointSync:
    """The checkpoints of one host of one run.

    Args:
        storage: Where they are kept.
        place: The prefix in S3.
        ml_folder: What the container sees as ``/opt/ml``.
        path: Of the checkpoints below it.
        spool: Path of a file that may be used to hold a copy.
    """

    def __init__(self, storage: Storage, place: S3Location, ml_folder: str, path: str, spool: str) -> None:
        self._storage = storage
        self._place = place.below()
        self._ml_folder = ml_folder
        self._path = path
        self._spool = spool
        self._uploaded: dict[str, tuple[int, int, int]] = {}

    def download(self) -> None:
        """Brings what is in S3. Raises JobFailed; OSError if the disk is full."""
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
                self._storage.download(self._place.bucket, key, target)
                self._uploaded[path] = _signature(os.stat(target))
        except StorageError as error:
            raise JobFailed(download_failed(f"checkpoints in {self._place.uri}: {error}")) from error

    def upload_changed(self) -> None:
        """One pass while the container runs: what cannot be read or stored now is tried again at the next one."""
        try:
            self._upload()
        except (StorageError, OSError) as error:
            _log.debug("Checkpoints did not go up to %s, the next pass tries again: %s", self._place.uri, error)

    def upload_rest(self) -> None:
        """The last pass, when nothing writes any more. Raises JobFailed; OSError if the disk is full."""
        try:
            self._upload()
        except StorageError as error:
            raise JobFailed(upload_failed(f"checkpoints to {self._place.uri}: {error}")) from error

    def _upload(self) -> None:
        for file in job_files.walk(self._ml_folder, self._path):
            if self._uploaded.get(file.path) == _signature(file.status):
                continue
            if self._copy(file):
                key = os.fsencode(file.path).decode("utf-8", "replace")
                place = self._place.below(key)
                self._storage.upload(self._spool, place.bucket, place.key)
                if time.time_ns() - file.status.st_mtime_ns > _CLOCK_TICK_NS:
                    self._uploaded[file.path] = _signature(file.status)

    def _copy(self, file: job_files.JobFile) -> bool:
        """Whether the file was the same from its beginning to its end."""
        fd = job_files.open_file(file.folder, file.name)
        if fd is None:
            return False
        with open(fd, "rb") as source, open(self._spool, "wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            return _signature(os.fstat(fd)) == _signature(file.status)


def _signature(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino
