"""A bucket in memory, in place of the agent's S3: for tests that save thousands of checkpoints."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from cloudtune.agent.s3 import S3, Got
from cloudtune.agent.s3_errors import S3NotFound


class Crash(BaseException):
    """The job dies here."""


class MemoryS3(S3):
    """Objects by key. Before and after each call that writes or reads, ``fault`` is asked to do its worst.

    Args:
        objects: Shared by all that look into the bucket.
    """

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects: dict[str, bytes] = {} if objects is None else objects
        self.calls: list[tuple[str, str]] = []
        self.lose_writes = 0  # so many writes are confirmed and not done
        self.fault: Callable[[int], None] = lambda number: None  # called twice per call, with 0, 1, 2, ...
        self._moments = 0
        self._lock = threading.Lock()

    def crash_at(self, moment: int) -> None:
        """Has the job die at the n-th moment from now on, and at all that follow."""
        begin = self._moments

        def fault(number: int) -> None:
            if number - begin >= moment:
                raise Crash

        self.fault = fault

    def fine(self) -> None:
        """Ends all faults."""
        self.fault = lambda number: None
        self.lose_writes = 0

    def counted(self, operation: str) -> list[str]:
        """Keys of the calls of one operation."""
        return [key for name, key in self.calls if name == operation]

    def get(self, key: str, etag: str | None = None) -> Got | None:
        with self._call("get", key):
            body = self.objects.get(key)
            return None if body is None else Got(body, etag_of(body))

    def put(self, key: str, body: bytes) -> str:
        with self._call("put", key):
            self._write(key, body)
            return etag_of(body)

    def list(self, prefix: str) -> list[tuple[str, int, str]]:
        with self._call("list", prefix):
            return sorted((k, len(body), etag_of(body)) for k, body in self.objects.items() if k.startswith(prefix))

    def upload_file(self, path: str, key: str) -> None:
        with self._call("upload", key):
            self._write(key, Path(path).read_bytes())

    def download_file(self, key: str, path: str) -> None:
        with self._call("download", key):
            if key not in self.objects:
                raise S3NotFound(key)
            Path(path).write_bytes(self.objects[key])

    def delete(self, keys: Sequence[str]) -> None:
        if keys:
            with self._call("delete", keys[0]):
                for key in keys:
                    self.objects.pop(key, None)

    def _write(self, key: str, body: bytes) -> None:
        if self.lose_writes:
            self.lose_writes -= 1
        else:
            self.objects[key] = body

    def _call(self, operation: str, key: str) -> _Call:
        return _Call(self, operation, key)


class _Call:
    def __init__(self, s3: MemoryS3, operation: str, key: str) -> None:
        self._s3 = s3
        self._what = operation, key

    def __enter__(self) -> None:
        self._s3._lock.acquire()
        try:
            self._s3.calls.append(self._what)
            self._moment()
        except BaseException:
            self._s3._lock.release()
            raise

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._moment()
        finally:
            self._s3._lock.release()

    def _moment(self) -> None:
        self._s3._moments += 1
        self._s3.fault(self._s3._moments - 1)


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
