"""What has to be different about moto's models while a cloud is open that serves thousands of calls."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any, cast

from moto.core.common_models import BaseModel
from moto.s3.models import FakeKey, FakeMultipart, S3Backend, s3_backends

Undo = Callable[[], None]

#: Bytes from which on an object is read piece by piece.
_LARGE = 16 * 1024 * 1024


def stop_tracking() -> Undo:
    """Lets go of what nobody uses any more; returns what makes moto as it was.

    moto notes every instance of every model in a list of its class, for its dashboard: each version of each object ever
    written to S3, with its content. Lists that moto puts there when it is reset stay empty as well.
    """
    original = BaseModel.__dict__["__new__"]

    def new(cls: type[BaseModel], *args: Any, **kwargs: Any) -> BaseModel:  # noqa: ARG001 -- what a model's __init__ takes
        instance: BaseModel = super(BaseModel, cls).__new__(cls)
        return instance

    BaseModel.__new__ = staticmethod(new)  # type: ignore[method-assign]

    def undo() -> None:
        BaseModel.__new__ = original  # type: ignore[method-assign]
        _track_survivors()

    return undo


def _track_survivors() -> None:
    """Notes the objects that are left, as moto would have: it closes their files when it is reset."""
    tracked_keys: list[FakeKey] = vars(FakeKey)["instances_tracked"]
    tracked_uploads: list[FakeMultipart] = vars(FakeMultipart)["instances_tracked"]
    for _, _, backend in s3_backends.iter_backends():
        for bucket in cast("S3Backend", backend).buckets.values():
            versions = [version for _, versions in bucket.keys.lists() for version in versions]
            tracked_keys.extend(key for key in versions if isinstance(key, FakeKey))
            tracked_uploads.extend(bucket.multiparts.values())


def lock_etags() -> Undo:
    """Computes the ETag of an object once, under the object's lock; returns what makes moto as it was.

    moto computes it when it is first asked for, by reading from a file whose position it shares with everybody else: a
    listing at the moment of a write would get, and keep, the ETag of half of the content.
    """
    original = FakeKey.__dict__["etag"]

    def etag(key: FakeKey) -> str:
        if key._etag is None:
            with key.lock:
                return str(original.fget(key))
        return f'"{key._etag}"'

    FakeKey.etag = property(etag)  # type: ignore[method-assign, assignment]

    def undo() -> None:
        FakeKey.etag = original  # type: ignore[method-assign]

    return undo


def map_large_content() -> Undo:
    """Has the content of large objects read piece by piece; returns what makes moto as it was.

    moto reads an object whole for each part that is fetched or copied of it: for a checkpoint of gigabytes in hundreds
    of parts that takes hours. In its place such an object shows a map of the file that moto keeps it in: of a map only
    what is asked for is read. Whoever needs all of it as bytes calls :func:`as_bytes`.
    """
    original = FakeKey.__dict__["value"]

    def value(key: FakeKey) -> bytes | mmap.mmap:
        if key.contentsize < _LARGE:
            return cast("bytes", original.fget(key))
        with key.lock:
            buffer = cast("Any", key._value_buffer)
            if not buffer._rolled:
                buffer.rollover()
            buffer.flush()
            return mmap.mmap(buffer.fileno(), key.contentsize, access=mmap.ACCESS_READ)

    FakeKey.value = property(value, original.fset)  # type: ignore[method-assign, assignment]

    def undo() -> None:
        FakeKey.value = original  # type: ignore[method-assign]

    return undo


def as_bytes(content: Any) -> Any:
    """The content of an answer, where it is a map of a large object; anything else as it is."""
    return content[:] if isinstance(content, mmap.mmap) else content


def dispose_quietly() -> Undo:
    """Closes the content of an object that nobody refers to, without a warning; returns what makes moto as it was.

    moto warns where a file is closed by the garbage collector. As long as it tracks all objects that never happens
    before a reset; here it is the rule for what is left of buckets and uploads.
    """
    original = FakeKey.__dict__["__del__"]

    def finalize(key: FakeKey) -> None:
        key.dispose()

    FakeKey.__del__ = finalize  # type: ignore[method-assign]

    def undo() -> None:
        FakeKey.__del__ = original  # type: ignore[method-assign]

    return undo
