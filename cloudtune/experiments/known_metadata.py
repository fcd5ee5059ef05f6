"""``metadata.json`` of an experiment, as others read it. It can be made anew: a damaged one counts as none."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from cloudtune.aws.s3 import Bucket

logger = logging.getLogger(__name__)

_NAME = "metadata.json"


def metadata_in_folder(path: Path) -> dict[str, Any] | None:
    """That of an experiment on this machine; None where there is none that can be read."""
    try:
        body = (path / _NAME).read_bytes()
    except FileNotFoundError:
        return None
    return _read(body, str(path / _NAME))


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


def _read(body: bytes, where: str) -> dict[str, Any] | None:
    try:
        metadata = json.loads(body)
    except ValueError:
        metadata = None
    if isinstance(metadata, dict):
        return metadata
    logger.warning("%s is damaged and passed over; the tuner writes it again when it goes on", where)
    return None
