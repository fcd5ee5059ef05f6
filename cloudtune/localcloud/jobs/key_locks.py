"""One lock per object in S3, so that a check and the write that depends on it are one step."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from zlib import crc32


class KeyLocks:
    """Locks of objects, in stripes: a fixed number of locks is shared by all keys. Reentrant.

    Several keys are always locked in the order of their stripes, so that two threads cannot wait for each other. A
    thread that holds one key must not ask for another one later.
    """

    def __init__(self, stripes: int = 256) -> None:
        self._locks = [threading.RLock() for _ in range(stripes)]

    @contextmanager
    def holding(self, objects: Iterable[tuple[str, str]]) -> Iterator[None]:
        """Holds the locks of these objects, given as (bucket, key)."""
        stripes = sorted({self._stripe(bucket, key) for bucket, key in objects})
        with ExitStack() as held:
            for stripe in stripes:
                held.enter_context(self._locks[stripe])
            yield

    @contextmanager
    def holding_all(self) -> Iterator[None]:
        """Holds the locks of all objects: for requests about very many."""
        with ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            yield

    def _stripe(self, bucket: str, key: str) -> int:
        return crc32(f"{bucket}/{key}".encode("utf-8", "surrogatepass")) % len(self._locks)
