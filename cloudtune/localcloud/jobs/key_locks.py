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
        stripes = sorted({crc32(f"{bucket}/{key}".encode()) % len(self._locks) for bucket, key in objects})
        with ExitStack() as held:
            for stripe in stripes:
                held.enter_context(self._locks[stripe])
            yield
