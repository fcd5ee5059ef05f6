"""The named pipe through which trials wake the tuner."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from cloudtune.backend import trial_files


class WakeFifo:
    """A named pipe into which Reporters write the numbers of their trials.

    Args:
        folder: Folder of the experiment. The pipe is made by :meth:`open` and removed by :meth:`close`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / trial_files.WAKE_FIFO)
        self.fd = -1
        self._nearly_full = 0

    def open(self) -> None:
        """Makes the pipe, in place of one that a killed tuner left."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.mkfifo(self.path, 0o600)
        # Open for writing too: else it would read as ended whenever no trial holds it.
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        size = fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ) if hasattr(fcntl, "F_GETPIPE_SZ") else 16384
        self._nearly_full = size // 2

    def read(self) -> Iterable[int] | None:
        """The trials that have reported since the last call, or None if there were so many that some may be missing."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return ()
        if len(data) >= self._nearly_full:
            return None
        return dict.fromkeys(int(word) for word in data.split() if word.isdigit())

    def close(self) -> None:
        """Closes the pipe, and removes it unless another tuner has put its own in its place. Safe to call twice."""
        if self.fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self.fd), os.stat(self.path)):
                    os.unlink(self.path)
            os.close(self.fd)
            self.fd = -1
