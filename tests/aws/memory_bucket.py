"""A bucket in memory, in place of the tuner's: the same objects that the agents of a test see."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import NotFound
from cloudtune.aws.s3 import Bucket, Got, Listed
from tests.agent.memory_s3 import MemoryS3


class MemoryBucket(Bucket):
    """What checkpoints need of a bucket, on a :class:`MemoryS3`."""

    def __init__(self, s3: MemoryS3) -> None:
        super().__init__(Aws("us-east-1"), "memory")
        self._s3 = s3

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        assert not if_none_match
        assert if_match is None
        return self._s3.put(key, body)

    def get(self, key: str) -> Got | None:
        got = self._s3.get(key)
        return None if got is None else Got(got.body, got.etag)

    def list(self, prefix: str, start_after: str = "") -> builtins.list[Listed]:
        assert not start_after
        return [Listed(*listed) for listed in self._s3.list(prefix)]

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:  # one by one: a deletion may end in its middle
            self._s3.delete([key])

    def delete_prefix(self, prefix: str) -> int:
        keys = [listed.key for listed in self.list(prefix)]
        self.delete(keys)
        return len(keys)

    def copy_many(self, pairs: Sequence[tuple[str, str, int]], source: Bucket | None = None) -> None:
        assert source is None
        for key, target, _ in pairs:
            if key not in self._s3.objects:
                raise NotFound(key)
            self._s3.put(target, self._s3.objects[key])
