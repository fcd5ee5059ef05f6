"""The server that kills itself when its time has come."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from cloudtune.localcloud.fault import Fault

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform


class TimedKill:
    """Carries out faults ``kill_server`` that have a time and no patterns. Its thread lives while there are any.

    Args:
        platform: Of a server.
    """

    def __init__(self, platform: Platform) -> None:
        self._faults = platform.faults
        self._clock = platform.clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._done: set[int] = set()
        self._end = self._faults.on_change(self._changed)
        self._changed()

    def close(self) -> None:
        """Kills nothing any more."""
        self._end()
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join()

    def _changed(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed and self._pending():
                self._thread = threading.Thread(target=self._run, name="localcloud-timed-kill", daemon=True)
                self._thread.start()
        self._wake.set()

    def _pending(self) -> dict[int, Fault]:
        return {
            number: fault
            for number, fault in self._faults.faults().items()
            if fault.kind == "kill_server"
            and fault.after > 0
            and {fault.operation, fault.job, fault.resource, fault.who} == {"*"}
            and number not in self._done
        }

    def _run(self) -> None:
        while True:
            self._wake.clear()
            with self._lock:
                pending = self._pending()
                if self._closed or not pending:
                    self._thread = None
                    return
            due = min(fault.after for fault in pending.values()) - self._clock.elapsed()
            if due > 0:
                self._wake.wait(self._clock.real(due))
                continue
            if "kill_server" in self._faults.for_cloud():
                os.kill(os.getpid(), signal.SIGKILL)
            # Not drawn, by probability or count: its time is over.
            now = self._clock.elapsed()
            self._done |= {number for number, fault in pending.items() if fault.after <= now}
