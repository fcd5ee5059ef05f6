"""A tuner's store in a thread that stands still before each of its calls of S3 until a test lets it go on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cloudtune.store import s3_lease
from cloudtune.store.s3_store import S3Store
from tests.contracts.store_contract import report
from tests.store.memory_s3 import OK, MemoryBucket, MemoryS3

ROOT = "cloudtune/fence/experiment/"
_LONG = 60.0


class Killed(BaseException):
    """The process is gone."""


class PausedWriter:
    """One process with one store.

    At any time it is idle, or in the middle of one of its deeds and before a call of S3 (:attr:`pending`).

    Args:
        s3: Where the experiment lies.
        name: Makes its reports different from all others'.
    """

    def __init__(self, s3: MemoryS3, name: int) -> None:
        self.s3 = s3
        self.bucket = MemoryBucket(s3, self._gate)
        # Every other one gives up at the first call without an answer, and tries again with more to write.
        self.store = S3Store(self.bucket, ROOT, patience=900.0 * (1 - name % 2))
        self.name = name
        self.is_open = False
        self.is_dead = False
        #: Numbers of reports: appended; of these, flushed; and those that a flush said would never be read.
        self.appended: list[int] = []
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        #: What its last deed raised.
        self.error: Exception | None = None
        self.pending: tuple[str, str] | None = None
        self._count = 0
        self._fate = OK
        self._go = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------ what the test does

    @property
    def is_idle(self) -> bool:
        """Whether it is in the middle of nothing."""
        return not self.is_dead and self._thread is None

    def begin(self, deed: Callable[[], None]) -> None:
        """Begins something; returns when it stands before its first call of S3, or has done it."""
        assert self.is_idle
        self.error = None

        def run() -> None:
            try:
                deed()
            except Killed:
                pass
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.error = error
            self.pending = None
            self._thread = None
            self._stands.release()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        self._wait()

    def step(self, fate: str = OK) -> None:
        """Lets it make the call that it stands before, and go on to the next."""
        assert self.pending is not None
        self._fate = fate
        self._go.release()
        self._wait()

    def run(self, deed: Callable[[], None]) -> None:
        """Does something without a pause."""
        self.begin(deed)
        while self.pending is not None:
            self.step()

    def kill(self) -> None:
        """SIGKILL. What it was about to send may be on its way."""
        self.is_dead = True
        if self.pending is not None:
            self._go.release()
            self._wait()
        lease = self.store._lease
        if lease is not None:
            lease.ended.set()
            s3_lease._held.discard(lease.nonce)
        else:  # it was about to open: all that anybody holds may seem to be left over, which makes matters worse
            s3_lease._held.clear()

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=_LONG), "it neither ends nor calls S3"

    def _gate(self, operation: str, key: str) -> str:
        if threading.current_thread() is not self._thread:
            return OK
        self.pending = (operation, key)
        self._stands.release()
        assert self._go.acquire(timeout=_LONG), "nobody lets it go on"
        self.pending = None
        if self.is_dead:
            raise Killed
        return self._fate

    # ------------------------------------------------------------------ what it can do

    def open(self, takeover: bool = False) -> None:
        """Begins to drive the experiment."""
        self.store.open(takeover)
        assert self.store._lease is not None
        # It is renewed when the test says so.
        self.store._lease._renew_interval = 1e6
        self.is_open = True

    def append_and_flush(self) -> None:
        """Two reports that have to be in the log afterwards."""
        numbers = [self.name * 1000 + self._count, self.name * 1000 + self._count + 1]
        self._count += 2
        # Refused until the flush has said otherwise: what raises Fenced must never be read.
        self.store.append([report(number) for number in numbers])
        self.appended += numbers
        self.flush()

    def flush(self) -> None:
        """Once more, after an error perhaps."""
        self.store.flush()
        self.acknowledged = list(self.appended)

    def renew(self) -> None:
        """What its renewing thread does every 20 seconds."""
        lease = self.store._lease
        assert lease is not None
        if not lease.ended.is_set():
            lease._renew(self.bucket)

    def close(self) -> None:
        """Ends in order."""
        self.is_open = False
        self.store.close()
