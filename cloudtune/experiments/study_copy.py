"""The copy on this machine of the results of a study in S3.

It is a folder below that of the experiments, ``_synced/<bucket>/<prefix>/<tag>``, with a file for each experiment. A
file is replaced in one step and says itself what it is a copy of, so that any number of programs may write and read at
once, and one that is killed leaves nothing behind but files to be deleted. No experiment of this machine is called so:
its name would not begin with an underscore.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.experiment_place import experiment_prefix
from cloudtune.aws.s3_paths import path_inside
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.values import as_number

logger = logging.getLogger(__name__)

#: Below the folder of the experiments.
COPIES_FOLDER = "_synced"

_STUDY = "study.json"
_FORMAT = 1
_PARTIAL = ".partial-"
#: Seconds after which a file that was never completed is deleted.
_ABANDONED = 3600.0
_FILE = re.compile(r"(?P<name>.+)-[0-9a-f]{8}\.table")
_LONGEST_PART = 200


@dataclass(frozen=True)
class CopyOf:
    """What a file of the copy is a copy of.

    Args:
        name: Of the experiment.
        etag: Of its results object when it was looked at; "" where it had none.
        last_segment: Of its log, if it was read from that, see :class:`~cloudtune.store.s3_log.S3LogView`.
        unreadable: Why there are no results; "" if there are.
        version: Of the cloudtune that wrote the file.
        size: Bytes of the results.
    """

    name: str
    etag: str
    last_segment: int | None
    unreadable: str
    version: str
    size: int


class StudyCopy:
    """The copy of one study.

    Args:
        root: Folder of the experiments of this machine.
        bucket: Name of the bucket.
        prefix: What stands before ``cloudtune/`` there, without slashes at its ends; may be empty.
        tag: Of the study.

    Raises:
        InvalidRequest: The tag would lead out of the folder.
    """

    def __init__(self, root: Path, bucket: str, prefix: str, tag: str) -> None:
        experiment_prefix(prefix, tag, tag)
        self.root = root
        self.bucket = bucket
        self.prefix = prefix
        self.tag = tag
        self.path = root / COPIES_FOLDER / _part(bucket) / (_part(prefix) or "_") / tag

    def uri(self, name: str) -> str:
        """Where an experiment lies in S3."""
        return f"s3://{self.bucket}/{experiment_prefix(self.prefix, self.tag, name)}"

    @property
    def s3_path(self) -> str:
        """Where the study lies in S3, as users name it: ``s3://bucket[/prefix]``."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    # ------------------------------------------------------------------ the study

    def begin(self) -> None:
        """Makes the folder, and deletes what was left half-written long ago.

        Raises:
            CloudtuneError: It is the copy of another study.
            OSError: The folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        there = _study(self.path)
        if there is not None and (there["bucket"], there["prefix"], there["tag"]) != (
            self.bucket,
            self.prefix,
            self.tag,
        ):
            raise CloudtuneError(
                f"{self.path} holds the copy of another study, s3://{there['bucket']}/{there['prefix']} with the tag "
                f"{there['tag']!r}, whose name this file system takes for the same: delete that folder"
            )
        if there is None:
            self._note(complete=False)
        for path in self.path.glob(f"{_PARTIAL}*"):
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
            except OSError as error:  # another program was quicker, or reads it
                logger.debug("%s stays: %s", path, error)

    def complete(self) -> None:
        """Notes that all experiments of the study, by their folders, were looked at now."""
        self._note(complete=True)

    @property
    def is_complete(self) -> bool:
        """Whether all experiments of the study were looked at once."""
        there = _study(self.path)
        return there is not None and there["complete"] is True

    @property
    def age(self) -> float:
        """Seconds since all experiments of the study were looked at; infinite if that is not known."""
        there = _study(self.path)
        looked = as_number(there.get("looked")) if there is not None and there["complete"] is True else None
        age = math.inf if looked is None else time.time() - looked
        return age if age >= 0 else math.inf  # the clock was set back

    def _note(self, complete: bool) -> None:
        study = {"format": _FORMAT, "bucket": self.bucket, "prefix": self.prefix, "tag": self.tag, "complete": complete}
        self._write(_STUDY, json.dumps({**study, "looked": time.time()}).encode())

    # ------------------------------------------------------------------ its experiments

    def names(self) -> list[str]:
        """Of the experiments that have a file, in alphabetical order."""
        matches = (_FILE.fullmatch(path.name) for path in self.path.glob("*.table"))
        return sorted(match["name"] for match in matches if match and self.file(match["name"]).name == match[0])

    def known(self) -> dict[str, CopyOf]:
        """What the files are copies of. One that is damaged counts as none."""
        found = {}
        for name in self.names():
            copy_of = self._known(name)
            if copy_of is not None:
                found[name] = copy_of
        return found

    def _known(self, name: str) -> CopyOf | None:
        path = self.file(name)
        try:
            with path.open("rb") as file:
                line = file.readline()
                size = os.fstat(file.fileno()).st_size - len(line)
        except OSError as error:
            logger.debug("%s: %s", path, error)
            return None
        copy_of = _copy_of(line)
        return copy_of if copy_of is not None and (copy_of.name, copy_of.size) == (name, size) else None

    def save(self, copy_of: CopyOf, data: bytes) -> None:
        """Replaces the file of an experiment in one step. Raises OSError."""
        first = json.dumps({"format": _FORMAT, **vars(copy_of)}).encode()
        self._write(self.file(copy_of.name).name, first + b"\n" + data)

    def drop(self, name: str) -> None:
        """Deletes the file of an experiment."""
        self.file(name).unlink(missing_ok=True)

    def read(self, name: str) -> tuple[CopyOf, bytes] | None:
        """The file of an experiment; None where there is none that can be read."""
        try:
            line, _, data = self.file(name).read_bytes().partition(b"\n")
        except OSError as error:
            logger.debug("%s: %s", self.file(name), error)
            return None
        copy_of = _copy_of(line)
        return (copy_of, data) if copy_of is not None and copy_of.name == name else None

    def file(self, name: str) -> Path:
        """Path of an experiment's file. Raises InvalidRequest: it would lie outside of the copy."""
        # Names that differ in capitals only are one to some file systems.
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return Path(path_inside(self.path, f"{name}-{digest}.table"))

    def _write(self, name: str, data: bytes) -> None:
        handle, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=self.path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(partial, self.path / name)
        except BaseException:
            os.unlink(partial)
            raise


def copies(root: Path) -> Iterator[StudyCopy]:
    """All copies below a folder of experiments."""
    for path in sorted((root / COPIES_FOLDER).glob(f"*/*/*/{_STUDY}")):
        there = _study(path.parent)
        if there is not None:
            try:
                copy = StudyCopy(root, there["bucket"], there["prefix"], there["tag"])
            except InvalidRequest as error:
                logger.warning("%s is passed over: %s", path, error)
                continue
            if copy.path == path.parent:
                yield copy


def _study(path: Path) -> dict[str, Any] | None:
    """What the folder is the copy of; None if nothing says so."""
    try:
        there = json.loads((path / _STUDY).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    texts = [there.get(key) for key in ("bucket", "prefix", "tag")] if isinstance(there, dict) else [None]
    if not all(isinstance(text, str) for text in texts) or there.get("format") != _FORMAT:
        return None
    return {"complete": False, **there}


def _copy_of(line: bytes) -> CopyOf | None:
    try:
        first = json.loads(line)
        if first.pop("format") != _FORMAT:
            return None
        return CopyOf(**first)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _part(text: str) -> str:
    """One part of a path, for any text."""
    part = quote(text, safe="").replace("_", "%5F").replace("~", "%7E")
    if part.strip(".") == "":
        part = part.replace(".", "%2E")
    if len(part) > _LONGEST_PART:
        part = f"{part[:_LONGEST_PART]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return part
