"""S3 for the platform itself: straight into moto's backend, without HTTP, gate or faults."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from moto.s3.exceptions import MissingBucket
from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends

from cloudtune.localcloud.jobs.key_locks import KeyLocks

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

_PARTITION = "aws"
_CHUNK = 1 << 20
#: S3's limit of a key, in bytes of UTF-8.
_LONGEST_KEY = 1024


class StorageError(Exception):
    """What S3 would have answered.

    Args:
        code: S3's: ``NoSuchBucket``, ``NoSuchKey`` or ``KeyTooLongError``.
        message: One sentence that names the object.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str]]:
        return type(self), (self.code, self.message)


@dataclass(frozen=True)
class StoredObject:
    """An object in a listing.

    Args:
        key: Its name.
        size: In bytes.
        etag: Without quotes; the MD5 of the content unless it was uploaded in parts.
        modified: Seconds since 1970, in real time.
    """

    key: str
    size: int
    etag: str
    modified: float


class NewObject:
    """An object that is being written, and that nobody sees yet.

    Args:
        key: moto's, empty.
        between: Called after every write.
    """

    def __init__(self, key: FakeKey, between: Callable[[], None]) -> None:
        self._key = key
        self._between = between
        self._digest = hashlib.md5(usedforsecurity=False)
        self._size = 0
        #: Whether it is not to be stored after all.
        self.dropped = False
        #: Whether it cannot be stored any more.
        self.abandoned = False

    def write(self, data: bytes) -> int:
        """Adds to its content; returns how many bytes. Raises OSError if the disk is full.

        After an error nothing is written any more, and nothing raised: what a compressor still holds comes when it is
        closed, or even later.
        """
        if self.abandoned:
            return len(data)
        self.abandoned = True
        self._key._value_buffer.write(data)
        self._digest.update(data)
        self._size += len(data)
        self._between()
        self.abandoned = False
        return len(data)

    def flush(self) -> None:
        """Nothing is held back; a file has this."""

    def end(self) -> None:
        """Notes what the content was."""
        self._key.contentsize = self._size
        self._key._etag = self._digest.hexdigest()


class Storage:
    """The objects of the cloud's account, for whoever moves files on behalf of jobs. Thread-safe."""

    def __init__(self, platform: Platform) -> None:
        self._account = platform.settings.account
        #: Held by everything that reads or writes an object, here and at the gate.
        self.locks = KeyLocks()

    def locked(self, bucket: str, key: str) -> AbstractContextManager[None]:
        """Nobody else writes or reads this object meanwhile, not even through the API. Reentrant."""
        return self.locks.holding([(bucket, key)])

    def require(self, bucket: str) -> None:
        """Raises StorageError NoSuchBucket if there is no such bucket."""
        self._bucket(bucket)

    def list(self, bucket: str, prefix: str = "") -> list[StoredObject]:
        """The objects whose keys begin with ``prefix``, sorted by key. Raises StorageError NoSuchBucket."""
        keys = self._bucket(bucket).keys
        names = [name for name in list(keys) if name.startswith(prefix)] if prefix else list(keys)
        found = (keys.get(name) for name in sorted(names))
        return [
            StoredObject(key.name, key.size, key.etag.strip('"'), _seconds(key.last_modified))
            for key in found
            if isinstance(key, FakeKey)
        ]

    def read(self, bucket: str, key: str) -> bytes:
        """The content of a (small) object. Raises StorageError NoSuchBucket, NoSuchKey."""
        with self.locked(bucket, key):
            return bytes(self._key(bucket, key).value)

    def download(self, bucket: str, key: str, path: str, between: Callable[[], None] = lambda: None) -> None:
        """Writes an object to a file, without ever holding a large one in memory.

        Args:
            bucket: Of the object.
            key: Of the object.
            path: Of the file.
            between: Called again and again while a large object comes: raises to end that.

        Raises:
            StorageError: NoSuchBucket, NoSuchKey; the file is not touched then.
            OSError: The file cannot be written.
        """
        with self.locked(bucket, key):
            content = self._key(bucket, key)
            buffer = cast("Any", content._value_buffer)
            if buffer._rolled:  # moto keeps large objects in temporary files
                buffer.flush()
                small, descriptor = b"", os.dup(buffer.fileno())
            else:
                small, descriptor = bytes(content.value), -1
        # The lock is free again: a copy of the descriptor stays good when the object is replaced meanwhile.
        try:
            with open(path, "wb") as target:
                if descriptor < 0:
                    target.write(small)
                else:
                    _copy(descriptor, target, between)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def upload(self, path: str, bucket: str, key: str) -> None:
        """Stores a file as an object, as one atomic step. A file that grows or shrinks meanwhile does no harm.

        Raises:
            StorageError: NoSuchBucket, KeyTooLongError.
            OSError: The file cannot be read.
        """
        with self.writing(bucket, key) as new, open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                new.write(chunk)

    @contextmanager
    def writing(self, bucket: str, key: str, between: Callable[[], None] = lambda: None) -> Iterator[NewObject]:
        """What is written within the block becomes an object at its end, as one atomic step.

        Nothing is stored if the block raises, or if it sets ``dropped``.

        Args:
            bucket: Of the object.
            key: Of the object.
            between: Called after every write: raises to end it all.

        Raises:
            StorageError: NoSuchBucket, KeyTooLongError.
        """
        holder = self._bucket(bucket)
        length = len(key.encode("utf-8", "surrogatepass"))
        if length > _LONGEST_KEY:
            raise StorageError(
                "KeyTooLongError",
                f"Your key is too long: s3://{bucket}/{key[:100]}... has {length} bytes, S3 takes {_LONGEST_KEY}.",
            )
        new_key = FakeKey(
            name=key,
            value=b"",
            account_id=self._account,
            region_name=holder.region_name,
            bucket_name=bucket,
            is_versioned=holder.is_versioned,
            version_id=str(uuid.uuid4()) if holder.is_versioned else "null",
        )
        new = NewObject(new_key, between)
        try:
            yield new
        except BaseException:
            new_key.dispose()
            raise
        if new.dropped or new.abandoned:
            new_key.dispose()
            return
        new.end()
        with self.locked(bucket, key):
            versions = holder.keys.getlist(key, []) if holder.is_versioned else []
            holder.keys.setlist(key, [*versions, new_key])

    def _bucket(self, bucket: str) -> FakeBucket:
        backend: S3Backend = s3_backends[self._account][_PARTITION]
        try:
            return backend.get_bucket(bucket)
        except MissingBucket as error:
            raise StorageError("NoSuchBucket", f"The bucket {bucket} does not exist.") from error

    def _key(self, bucket: str, key: str) -> FakeKey:
        found = self._bucket(bucket).keys.get(key)
        if not isinstance(found, FakeKey):
            raise StorageError("NoSuchKey", f"There is no object s3://{bucket}/{key}.")
        return found


def _seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.timezone.utc).timestamp()


def _copy(descriptor: int, target: IO[bytes], between: Callable[[], None]) -> None:
    """Copies a file from its beginning. The position that copies of a descriptor share is neither used nor moved."""
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        target.write(chunk)
        offset += len(chunk)
        between()
