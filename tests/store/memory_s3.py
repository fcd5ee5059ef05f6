"""S3 in memory: what leases and logs need of it, with its own clock, and with trouble to order."""

from __future__ import annotations

import builtins
import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import Conflict, Unreachable
from cloudtune.aws.s3 import Bucket, Got, Listed, Seen

#: What may become of a call.
OK = "ok"
ANSWER_LOST = "answer lost"
REQUEST_LOST = "request lost"
RETRIED = "done twice, since the first answer was lost"
FATES = (OK, ANSWER_LOST, REQUEST_LOST, RETRIED)


@dataclass
class MemoryS3:
    """The objects of a bucket: content and time of each."""

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    now: float = 1e9
    lock: threading.RLock = field(default_factory=threading.RLock)
    puts: int = 0

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Writes, if the condition holds."""
        with self.lock:
            there = self.objects.get(key)
            if (if_none_match and there is not None) or (if_match is not None and etag(there) != if_match):
                raise Conflict(f"{key} is there already or has changed", "PreconditionFailed", "s3:PutObject")
            self.puts += 1
            self.objects[key] = (body, self.now)
            return etag(self.objects[key]) or ""


def etag(there: tuple[bytes, float] | None) -> str | None:
    """As S3 gives it."""
    return None if there is None else f'"{hashlib.md5(there[0], usedforsecurity=False).hexdigest()}"'


class MemoryBucket(Bucket):
    """One process's view of a :class:`MemoryS3`.

    Args:
        s3: The objects.
        gate: Called before each call with the operation and the key; says what becomes of it.
    """

    def __init__(self, s3: MemoryS3, gate: Callable[[str, str], str] = lambda _operation, _key: OK) -> None:
        super().__init__(Aws("us-east-1"), "memory")
        self.s3 = s3
        self._gate = gate

    def with_patience(self, patience: float | None) -> Bucket:
        return self

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        fate = self._gate("put", key)
        if fate == REQUEST_LOST:
            raise Unreachable("the request was lost", "ConnectionError", "s3:PutObject")
        answer = self.s3.put(key, body, if_none_match=if_none_match, if_match=if_match)
        if fate == ANSWER_LOST:
            raise Unreachable("the answer was lost", "ConnectionError", "s3:PutObject")
        if fate == RETRIED:
            answer = self.s3.put(key, body, if_none_match=if_none_match, if_match=if_match)
        return answer

    def look(self, key: str) -> Seen | None:
        if self._gate("get", key) in (REQUEST_LOST, ANSWER_LOST):
            raise Unreachable("no answer", "ConnectionError", "s3:GetObject")
        with self.s3.lock:
            there = self.s3.objects.get(key)
            return None if there is None else Seen(there[0], etag(there) or "", self.s3.now - there[1])

    def get_many(self, keys: Iterable[str]) -> dict[str, Got]:
        return {key: got for key in keys if (got := self.get(key)) is not None}

    def head(self, key: str) -> Listed | None:
        if self._gate("head", key) in (REQUEST_LOST, ANSWER_LOST):
            raise Unreachable("no answer", "ConnectionError", "s3:HeadObject")
        with self.s3.lock:
            there = self.s3.objects.get(key)
            return None if there is None else Listed(key, len(there[0]), etag(there) or "")

    def list(self, prefix: str, start_after: str = "") -> builtins.list[Listed]:
        if self._gate("list", prefix) in (REQUEST_LOST, ANSWER_LOST):
            raise Unreachable("no answer", "ConnectionError", "s3:ListObjectsV2")
        with self.s3.lock:
            return [
                Listed(key, len(there[0]), etag(there) or "")
                for key, there in sorted(self.s3.objects.items())
                if key.startswith(prefix) and key > start_after
            ]

    def delete(self, keys: Iterable[str]) -> None:
        with self.s3.lock:
            for key in keys:
                self.s3.objects.pop(key, None)
