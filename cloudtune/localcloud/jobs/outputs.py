"""What a job leaves: ``/opt/ml/model`` and ``/opt/ml/output/data``, brought to S3 when its containers have ended.

Of several hosts the files come together; where two have the same path, the host with the lower number wins.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.failure_reasons import JobFailed, upload_failed
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.storage import Storage, StorageError


class Outputs:
    """Uploads the outputs of a job.

    Args:
        storage: Where to.
        request: Of CreateTrainingJob.
        ml_folders: What the hosts saw as ``/opt/ml``.
        spool: Path of a file that may be used while an archive is made.
    """

    def __init__(self, storage: Storage, request: Mapping[str, Any], ml_folders: Sequence[str], spool: str) -> None:
        config = request["OutputDataConfig"]
        self._storage = storage
        self._place = S3Location.parse(config["S3OutputPath"]).below(request["TrainingJobName"], "output")
        self._compress = config.get("CompressionType", "GZIP") != "NONE"
        self._ml_folders = ml_folders
        self._spool = spool

    def upload_model(self) -> str | None:
        """Uploads ``/opt/ml/model``; returns the URI of the artifacts, None if there are none. Raises JobFailed."""
        return self._upload("model", "model")

    def upload_data(self) -> str | None:
        """The same for ``/opt/ml/output/data``."""
        return self._upload("output/data", "output")

    def _upload(self, path: str, name: str) -> str | None:
        try:
            if self._compress:
                return self._upload_archive(path, name + ".tar.gz")
            return self._upload_files(path, name)
        except StorageError as error:
            raise JobFailed(upload_failed(f"{self._place.uri}: {error}")) from error

    def _upload_archive(self, path: str, name: str) -> str | None:
        target = self._place.below(name)
        # Level 1: models hardly shrink any further, and higher levels take several times as long.
        with tarfile.open(self._spool, "w:gz", compresslevel=1) as archive:
            packed: set[str] = set()
            for folder in self._ml_folders:
                _pack(archive, folder, path, packed)
        if not packed:
            return None
        self._storage.upload(self._spool, target.bucket, target.key)
        return target.uri

    def _upload_files(self, path: str, name: str) -> str | None:
        target = self._place.below(name)
        seen: set[str] = set()
        for folder in self._ml_folders:
            for file in job_files.walk(folder, path):
                fd = None if file.path in seen else job_files.open_file(file.folder, file.name)
                if fd is None:
                    continue
                with open(fd, "rb") as source, open(self._spool, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                place = target.below(os.fsencode(file.path).decode("utf-8", "replace"))
                self._storage.upload(self._spool, place.bucket, place.key)
                seen.add(file.path)
        return target.uri + "/" if seen else None


def _pack(archive: tarfile.TarFile, folder: str, path: str, packed: set[str]) -> None:
    """Puts regular files and folders into the archive, and links that stay inside, as links."""
    if not job_files.is_folder(folder, path):
        return
    top = os.path.join(folder, path)
    for at, folders, names in os.walk(top):
        for name in sorted([*folders, *names]):
            whole = os.path.join(at, name)
            member = os.path.relpath(whole, top)
            if member not in packed and _belongs(whole, top):
                archive.add(whole, member, recursive=False)
                packed.add(member)


def _belongs(path: str, top: str) -> bool:
    if os.path.islink(path):
        target = os.readlink(path)
        inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
        return not os.path.isabs(target) and inside.startswith(top + os.sep)
    return os.path.isfile(path) or os.path.isdir(path)
