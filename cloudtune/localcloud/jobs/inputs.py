"""Input channels: from S3 into ``/opt/ml/input/data/<channel>``.

Served: S3Prefix and ManifestFile, FullyReplicated and ShardedByS3Key, all instance groups or some, plain and Gzip;
FastFile is served as File, all files being there before the container starts. RecordWrapperType and ShuffleConfig
change nothing. Not served, and said so in the FailureReason: Pipe, augmented manifests, file systems, data sets.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.jobs.failure_reasons import JobFailed, download_failed, no_objects
from cloudtune.localcloud.jobs.ml_folder import belongs_to_group, host_groups
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.storage import Storage, StorageError

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob

_CHUNK = 1 << 20

#: Null characters, what some systems take for a separator, and what has no form in UTF-8.
_NOT_IN_NAMES = re.compile(r"[\0\\\ud800-\udfff]")
#: Bytes that file systems allow for a name, and for a path with what stands before it.
_LONGEST_NAME, _LONGEST_PATH = 255, 3072

#: Object -> path below the channel's folder.
Files = dict[S3Location, str]


class InputChannels:
    """The channels of a job: looked up once, then brought to each host.

    Args:
        storage: Where the objects are.
        job: Whose channels.
        between: Called again and again while files come: raises to end the download.
    """

    def __init__(self, storage: Storage, job: TrainingJob, between: Callable[[], None]) -> None:
        self._storage = storage
        self._job = job
        self._between = between
        self._channels = [(channel, self._look_up(channel)) for channel in job.request.get("InputDataConfig") or ()]

    def bring(self, host: str, folder_of: Callable[[str], str]) -> None:
        """Fills the folders of one host, of those channels that belong to it.

        Args:
            host: Such as ``algo-1``.
            folder_of: Makes the folder of a channel and tells its path.

        Raises:
            JobFailed: An object cannot be read.
        """
        for channel, files in self._channels:
            hosts = [name for name, (group, _) in host_groups(self._job).items() if belongs_to_group(channel, group)]
            if host not in hosts:
                continue
            folder = folder_of(channel["ChannelName"])
            objects = sorted(files)
            source = channel["DataSource"]["S3DataSource"]
            if source.get("S3DataDistributionType") == "ShardedByS3Key":
                objects = objects[hosts.index(host) :: len(hosts)]
            for place in objects:
                path = os.path.join(folder, files[place])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                self._fetch(place, path, channel.get("CompressionType") == "Gzip")
                self._between()

    def _look_up(self, channel: Mapping[str, Any]) -> Files:
        name = channel["ChannelName"]
        _check_served(channel, self._job.request)
        source = channel["DataSource"]["S3DataSource"]
        uri = source["S3Uri"]
        place = S3Location.parse(uri)
        try:
            if source.get("S3DataType") == "ManifestFile":
                files = _of_manifest(uri, self._storage.read(*place))
            else:
                files = _of_prefix(place, (found.key for found in self._storage.list(*place)))
        except StorageError as error:
            raise JobFailed(self._missing(uri, place) if _is_missing(error) else download_failed(str(error))) from error
        if not files:
            raise JobFailed(self._missing(uri, place))
        if channel.get("CompressionType") == "Gzip":
            files = {found: path.removesuffix(".gz") for found, path in files.items()}
        check_paths(files.values(), f"channel {name!r}")
        return files

    def _fetch(self, place: S3Location, path: str, gunzip: bool) -> None:
        try:
            self._storage.download(place.bucket, place.key, path, self._between)
            if gunzip:
                _gunzip(path, self._between)
        except StorageError as error:
            raise JobFailed(
                self._missing(place.uri, place) if _is_missing(error) else download_failed(str(error))
            ) from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise JobFailed(download_failed(f"{place.uri} cannot be decompressed: {error}.")) from error

    def _missing(self, uri: str, place: S3Location) -> str:
        return no_objects(uri, place.bucket, self._job.region, self._job.request.get("RoleArn", ""))


def check_paths(paths: Iterable[str], whose: str) -> None:
    """Raises JobFailed if a path would leave its folder, or two paths cannot both be files in it."""
    files: set[str] = set()
    folders: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        if _NOT_IN_NAMES.search(path) or any(part in {"", ".", ".."} for part in parts):
            raise JobFailed(download_failed(f"key {path!r} of {whose} is no path inside of a folder."))
        if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
            raise JobFailed(download_failed(f"key {path[:100]!r}... of {whose} is too long for the name of a file."))
        if path in files:
            raise JobFailed(download_failed(f"two objects of {whose} would both be the file {path!r}."))
        files.add(path)
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]), path)
    for path in sorted(files & folders.keys()):
        raise JobFailed(
            download_failed(f"key {path!r} of {whose} would be a file, and the folder of {folders[path]!r} as well.")
        )


def _check_served(channel: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    name = channel["ChannelName"]
    source = (channel.get("DataSource") or {}).get("S3DataSource")
    if not source:
        kinds = ", ".join(channel.get("DataSource") or {}) or "nothing"
        raise JobFailed(
            f"ClientError: Channel {name!r} comes from {kinds}; this local cloud serves channels from "
            "S3DataSource only."
        )
    mode = channel.get("InputMode") or (request.get("AlgorithmSpecification") or {}).get("TrainingInputMode") or "File"
    if mode not in {"File", "FastFile"}:
        raise JobFailed(
            f"ClientError: Channel {name!r} has input mode {mode}, which this local cloud does not serve; use File."
        )
    kind = source.get("S3DataType", "S3Prefix")
    if kind not in {"S3Prefix", "ManifestFile"}:
        raise JobFailed(
            f"ClientError: Channel {name!r} has data type {kind}, which this local cloud does not serve; use S3Prefix "
            "or ManifestFile."
        )


def _of_prefix(place: S3Location, keys: Iterable[str]) -> Files:
    """A key that goes on after the prefix with a slash lies below it; one that goes on otherwise keeps its last name.

    So for ``s3://b/data/train``, ``data/train/x/a`` becomes ``x/a`` and ``data/train-2/a`` becomes ``train-2/a``.
    """
    prefix = place.key
    folder = prefix if not prefix or prefix.endswith("/") else prefix + "/"
    parent = prefix.rpartition("/")[0]
    cut = len(parent) + 1 if parent else len(prefix) - len(prefix.lstrip("/"))
    return {
        S3Location(place.bucket, key): key[len(folder) :] if key.startswith(folder) else key[cut:]
        for key in keys
        if not key.endswith("/")
    }


def _of_manifest(uri: str, content: bytes) -> Files:
    try:
        rows = json.loads(content)
        first, names = rows[0], rows[1:]
        if not all(isinstance(name, str) for name in (first["prefix"], *names)):
            raise TypeError("a name is not a string")
        prefix = S3Location.parse(first["prefix"])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise JobFailed(
            download_failed(
                f'{uri} is no manifest: it should be a list that begins with {{"prefix": "s3://..."}} and '
                f"goes on with names ({error})."
            )
        ) from error
    return {S3Location(prefix.bucket, prefix.key + name): name for name in names}


def _gunzip(path: str, between: Callable[[], None]) -> None:
    with open(path, "rb") as compressed:
        os.unlink(path)  # it has no name meanwhile: any other could be that of another file, or too long
        with gzip.open(compressed) as source, open(path, "wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
                between()


def _is_missing(error: StorageError) -> bool:
    return error.code in {"NoSuchBucket", "NoSuchKey"}
