"""A bucket in memory with conditional writes, that fails when it is told to, and lets others in between."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, Conflict, Unreachable
from cloudtune.aws.s3 import Bucket, Got, Listed

#: What befalls a call.
FINE, UNREACHABLE, ANSWER_LOST, DENIED = "fine", "unreachable", "answer lost", "denied"


class FaultyBucket(Bucket):
    """What a ledger needs of a bucket."""

    def __init__(self) -> None:
        super().__init__(Aws("us-east-1"), "memory")
        self.objects: dict[str, bytes] = {}
        #: What befalls the next calls, first things first; afterwards all is fine.
        self.faults: list[str] = []
        #: Called once, right before the next put is done: somebody else is quicker.
        self.before_put: Callable[[], object] | None = None
        self.puts = 0
        self.gets = 0

    def with_patience(self, patience: float | None) -> Bucket:
        return self

    def get(self, key: str) -> Got | None:
        self.gets += 1
        fault = self._fault()
        if fault == DENIED:
            raise AccessDenied("the right s3:GetObject is missing; grant it.")
        if fault != FINE:
            raise Unreachable("S3 does not answer.")
        body = self.objects.get(key)
        return None if body is None else Got(body, _etag(body))

    def list(self, prefix: str, start_after: str = "") -> builtins.list[Listed]:
        return []  # nobody has launched anything

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        self.puts += 1
        before, self.before_put = self.before_put, None
        if before is not None:
            before()
        fault = self._fault()
        if fault == UNREACHABLE:
            raise Unreachable("S3 does not answer.")
        there = self.objects.get(key)
        if (if_none_match and there is not None) or (
            if_match is not None and (there is None or _etag(there) != if_match)
        ):
            raise Conflict("somebody else was quicker.")
        self.objects[key] = body
        if fault == ANSWER_LOST:
            raise Unreachable("S3 does not answer.")
        return _etag(body)

    def _fault(self) -> str:
        return self.faults.pop(0) if self.faults else FINE


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
