"""How the data of a benchmark reaches its trials: by a variable beside the loop, by a channel in training jobs."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.constants import ENV_S3_PATH
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.buckets import BucketFound
    from cloudtune.aws.clients import Aws
    from cloudtune.studies.benchmark import BenchmarkDefinition

#: Of the digest that stands in the name of an uploaded folder.
_DIGEST_LENGTH = 16
_PIECE = 1024 * 1024


class InputMissing(CloudtuneError):
    """Data of a benchmark is not where it is said to be; the message says where to get it and where to put it."""


def check_inputs(benchmark: BenchmarkDefinition) -> None:
    """Raises InputMissing if one of its folders is not there, or is empty. What lies in S3 is not looked at."""
    for place in benchmark.inputs.values():
        if not _is_in_s3(place):
            _files(benchmark, Path(place))


def channel_variables(benchmark: BenchmarkDefinition) -> dict[str, str]:
    """What tells trials of this machine where their data lies: ``SM_CHANNEL_<NAME>``, as in a training job.

    Raises:
        InputMissing: It is not there, or not on this machine.
    """
    check_inputs(benchmark)
    for channel, place in benchmark.inputs.items():
        if _is_in_s3(place):
            raise InputMissing(
                f"benchmark '{benchmark.name}' reads {channel} from {place}, which trials on this machine cannot; "
                f"{benchmark.inputs_from or 'name a folder of this machine, or let trials be training jobs'}"
            )
    return {
        f"SM_CHANNEL_{channel.upper()}": str(Path(place).expanduser().absolute())
        for channel, place in benchmark.inputs.items()
    }


class InputChannels:
    """Input channels of training jobs. Folders of this machine are uploaded, each once for all experiments.

    An upload lies in ``cloudtune/data/<channel>-<digest of its files>/``: what is there already is not sent again, and
    a folder that has changed gets another place, so that jobs never read half of one and half of the other.

    Args:
        s3_path: Where experiments lie.
        region: Of AWS.
        profile: Of the AWS credentials file.
    """

    def __init__(self, s3_path: str | None, region: str | None, profile: str | None) -> None:
        self._s3_path = s3_path
        self._region = region
        self._profile = profile
        self._lock = threading.Lock()
        self._uploaded: dict[tuple[str, str], str] = {}

    def of(self, benchmark: BenchmarkDefinition) -> Mapping[str, str]:
        """``s3://`` prefix of each channel.

        Raises:
            InputMissing: A folder is not there, or is empty.
            CloudtuneError: It cannot be uploaded.
        """
        return {
            channel: place if _is_in_s3(place) else self._place_of(benchmark, channel, place)
            for channel, place in benchmark.inputs.items()
        }

    def _place_of(self, benchmark: BenchmarkDefinition, channel: str, folder: str) -> str:
        with self._lock:
            key = (channel, folder)
            if key not in self._uploaded:
                self._uploaded[key] = self._upload(channel, _files(benchmark, Path(folder)))
            return self._uploaded[key]

    def _upload(self, channel: str, files: Mapping[str, Path]) -> str:
        from cloudtune.aws.s3 import Bucket

        aws, found = self._bucket()
        bucket = Bucket(aws, found.name, found.owner)
        within = f"{found.prefix}/" if found.prefix else ""
        prefix = f"{within}cloudtune/data/{channel}-{_digest(files)}/"
        there = {one.key: one.size for one in bucket.list(prefix)}
        keys = {prefix + name: path for name, path in files.items()}
        bucket.upload_files([(path, key) for key, path in keys.items() if there.get(key) != path.stat().st_size])
        return bucket.uri(prefix)

    def _bucket(self) -> tuple[Aws, BucketFound]:
        from cloudtune.aws.buckets import find_bucket
        from cloudtune.aws.clients import aws_for

        aws = aws_for(self._region, self._profile)
        return aws, find_bucket(aws, self._s3_path or os.environ.get(ENV_S3_PATH))


def _is_in_s3(place: str) -> bool:
    return place.startswith("s3://")


def _files(benchmark: BenchmarkDefinition, folder: Path) -> dict[str, Path]:
    """What lies in a folder, by path relative to it; nothing hidden."""
    folder = folder.expanduser().absolute()
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name.as_posix(): path for name, path in found.items() if not any(p.startswith(".") for p in name.parts)}
    if not files:
        state = "is empty" if folder.is_dir() else "is not there"
        raise InputMissing(
            f"benchmark '{benchmark.name}' reads its data from {folder}, which {state}; "
            f"{benchmark.inputs_from or 'put it there'}"
        )
    return files


def _digest(files: Mapping[str, Path]) -> str:
    """Of names and contents."""
    whole = hashlib.sha256()
    for name, path in files.items():
        content = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                content.update(piece)
        whole.update(f"{len(name)} {name} {content.hexdigest()}\n".encode())
    return whole.hexdigest()[:_DIGEST_LENGTH]
