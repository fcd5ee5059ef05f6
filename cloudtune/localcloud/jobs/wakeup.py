"""What wakes the thread of a job while it waits."""

from __future__ import annotations

import os
import select
import sys
import threading

#: What an eventfd counts up by; a pipe takes it like any other bytes.
_ONE = (1).to_bytes(8, sys.byteorder)


class Wakeup:
    """A descriptor that becomes readable when :meth:`wake` is called, from any thread."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):  # one descriptor where others need two
            self._read = self._write = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._read, self._write = os.pipe()
            os.set_blocking(self._read, False)
            os.set_blocking(self._write, False)
        self._lock = threading.Lock()
        self._closed = False

    def fileno(self) -> int:
        return self._read

    def wake(self) -> None:
        """The waiting thread looks what is to be done; so does one that waits later."""
        with self._lock:
            if self._closed:
                return
            try:
                os.write(self._write, _ONE)
            except BlockingIOError:  # full of wakes that nobody has seen yet
                return

    def wait(self, real_seconds: float | None) -> None:
        """Blocks until woken or until the time is over; None: without end."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        poll.poll(None if real_seconds is None else max(0.0, real_seconds) * 1000)
        self.clear()

    def clear(self) -> None:
        """All wakes so far are seen."""
        try:
            while os.read(self._read, 4096):  # an eventfd is empty after one read, a pipe perhaps not
                continue
        except BlockingIOError:
            return

    def close(self) -> None:
        """Lets go of the descriptors; later wakes do nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for fd in {self._read, self._write}:
                    os.close(fd)
