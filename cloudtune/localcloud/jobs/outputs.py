"""What a job leaves: ``/opt/ml/model`` and ``/opt/ml/output/data``, brought to S3 when its containers have ended.

Of several hosts the files come together; where two have the same path, the host with the lower number wins.
"""

from __future__ import annotations

import gzip
import logging
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import IO, Any

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.failure_reasons import JobFailed, upload_failed
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.storage import Storage, StorageError

_log = logging.getLogger(__name__)

_CHUNK = 1 << 20


class Outputs:
    """Uploads the outputs of a job.

    Args:
        storage: Where to.
        request: Of CreateTrainingJob.
        ml_folders: What the hosts saw as ``/opt/ml``.
        largest: Bytes that the job's volume holds: what is beyond that is not uploaded. None: all is.
        between: Called again and again while files are read: raises to end the upload. What was not stored whole then
            is not stored at all.
    """

    def __init__(
        self,
        storage: Storage,
        request: Mapping[str, Any],
        ml_folders: Sequence[str],
        largest: int | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        config = request["OutputDataConfig"]
        self._storage = storage
        self._place = S3Location.parse(config["S3OutputPath"]).below(request["TrainingJobName"], "output")
        self._compress = config.get("CompressionType", "GZIP") != "NONE"
        self._ml_folders = ml_folders
        self._left = largest
        self._between = between

    def upload_model(self) -> str | None:
        """Uploads ``/opt/ml/model``; returns the URI of the artifacts, None if there are none. Raises JobFailed."""
        return self._upload("model", "model")

    def upload_data(self) -> str | None:
        """The same for ``/opt/ml/output/data``."""
        return self._upload("output/data", "output")

    def _upload(self, path: str, name: str) -> str | None:
        try:
            self._storage.require(self._place.bucket)
            if self._compress:
                return self._upload_archive(path, name + ".tar.gz")
            return self._upload_files(path, name)
        except StorageError as error:
            raise JobFailed(upload_failed(f"{self._place.uri}: {error}")) from error

    def _upload_archive(self, path: str, name: str) -> str | None:
        target = self._place.below(name)
        with self._storage.writing(target.bucket, target.key, self._between) as new:
            # Level 1: models hardly shrink any further, and higher levels take several times as long.
            with (
                gzip.GzipFile("", "wb", 1, new) as compressed,
                tarfile.open(fileobj=compressed, mode="w") as archive,
            ):
                packed = self._pack(archive, path)
            new.dropped = not packed
        return target.uri if packed else None

    def _upload_files(self, path: str, name: str) -> str | None:
        target = self._place.below(name)
        uploaded = False
        for entry in self._entries(path):
            source = self._open(entry) if stat.S_ISREG(entry.status.st_mode) else None
            if source is None:
                continue
            place = target.below(os.fsencode(entry.path).decode("utf-8", "replace"))
            with source, self._storage.writing(place.bucket, place.key, self._between) as new:
                while chunk := source.read(_CHUNK):
                    new.write(chunk)
            uploaded = True
        return target.uri + "/" if uploaded else None

    def _pack(self, archive: tarfile.TarFile, path: str) -> bool:
        """Puts regular files and folders into the archive, and links that stay inside; whether there was anything."""
        packed = False
        for entry in self._entries(path):
            member = tarfile.TarInfo(entry.path)
            member.mode = stat.S_IMODE(entry.status.st_mode)
            member.mtime = int(entry.status.st_mtime)
            member.uname = member.gname = "root"  # in a container all is root's
            source = None
            if stat.S_ISLNK(entry.status.st_mode):
                member.type = tarfile.SYMTYPE
                member.linkname = os.readlink(entry.name, dir_fd=entry.folder)
                if not _stays_inside(entry.path, member.linkname):
                    continue
            elif stat.S_ISDIR(entry.status.st_mode):
                member.type = tarfile.DIRTYPE
            elif stat.S_ISREG(entry.status.st_mode):
                source = self._open(entry)
                if source is None:
                    continue
                member.size = entry.status.st_size
            else:
                continue
            with source or nullcontext():
                archive.addfile(member, source)
            packed = True
        return packed

    def _entries(self, path: str) -> Iterator[job_files.JobFile]:
        """Of all hosts, every path once."""
        seen: set[str] = set()
        for folder in self._ml_folders:
            for entry in job_files.entries(folder, path):
                self._between()
                if entry.path not in seen:
                    if len(self._ml_folders) > 1:
                        seen.add(entry.path)
                    yield entry

    def _open(self, entry: job_files.JobFile) -> IO[bytes] | None:
        """The file, unless it is gone, or more than fits on the volume together with what was opened before."""
        fd = job_files.open_file(entry.folder, entry.name)
        if fd is None:
            _log.warning("%s of %s is not uploaded: it cannot be read.", entry.path, self._place.uri)
            return None
        if self._left is not None:
            if entry.status.st_size > self._left:
                os.close(fd)
                _log.warning("%s of %s is not uploaded: it is larger than the volume.", entry.path, self._place.uri)
                return None
            self._left -= entry.status.st_size
        return open(fd, "rb")


def _stays_inside(path: str, target: str) -> bool:
    """Whether a link at ``path`` leads to something else below the same folder."""
    leads_to = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return leads_to not in {".", ".."} and not leads_to.startswith(("/", "../"))
