"""``metadata.json`` of an experiment, as others read it. It can be made anew: a damaged one counts as none."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cloudtune.aws.s3 import Bucket
from cloudtune.constants import ST_TUNER_CREATION_TIMESTAMP
from cloudtune.store.entries import EXPERIMENT
from cloudtune.store.store import Entry

logger = logging.getLogger(__name__)

_NAME = "metadata.json"
_TAG = "tag"


def metadata_in_folder(path: Path) -> dict[str, Any] | None:
    """That of an experiment on this machine; None where there is none that can be read."""
    try:
        body = (path / _NAME).read_bytes()
    except FileNotFoundError:
        return None
    return _read(body, str(path / _NAME))


def tag_in_folder(path: Path) -> Any:
    """What ``metadata.json`` of an experiment on this machine has as its tag; None where there is no such thing."""
    try:
        metadata = json.loads((path / _NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return metadata.get(_TAG) if isinstance(metadata, dict) else None


def metadata_in_s3(bucket: Bucket, root: str) -> dict[str, Any] | None:
    """That of an experiment in S3; None where there is none that can be read.

    Args:
        bucket: Where the experiment lies.
        root: Its prefix.

    Raises:
        AwsError: S3 does not answer.
    """
    got = bucket.get(root + _NAME)
    return None if got is None else _read(got.body, bucket.uri(root + _NAME))


def metadata_of_log(entries: Iterable[Entry]) -> dict[str, Any]:
    """What the log says in place of ``metadata.json``; empty where it has not begun."""
    header = next((entry for entry in entries if entry["event"] == EXPERIMENT), None)
    if header is None:
        return {}
    return {ST_TUNER_CREATION_TIMESTAMP: header["unix"], **header["scheduler"], **header["metadata"]}


def _read(body: bytes, where: str) -> dict[str, Any] | None:
    try:
        metadata = json.loads(body)
    except (ValueError, RecursionError):
        metadata = None
    if isinstance(metadata, dict):
        return metadata
    logger.warning("%s is damaged and passed over; the tuner writes it again when it goes on", where)
    return None
