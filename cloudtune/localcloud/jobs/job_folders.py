"""The folders of running jobs, and those that a killed cloud has left."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
import threading

from cloudtune.localcloud.jobs import job_files

_PREFIX = "cloudtune-jobs-"
_LOCK = "lock"


class JobFolders:
    """Makes folders, in one folder per cloud that others may not enter. Thread-safe.

    A file in it is locked as long as the cloud lives. So a cloud can tell what a killed one has left beside its own
    folder, and removes it.

    Args:
        place: Where the cloud's folder is to be made, with the first job; by default where temporary files go.
        name: Of the cloud.
    """

    def __init__(self, place: str | None, name: str) -> None:
        self._place = os.path.abspath(place or tempfile.gettempdir())
        self._name = name
        self._making = threading.Lock()
        self._numbers = itertools.count(1)
        self._folder: str | None = None
        self._lock = -1

    def new(self) -> str:
        """An empty folder. Its path is short, since sockets in it may not have long ones. Raises OSError."""
        with self._making:
            if self._folder is None:
                self._make()
            path = os.path.join(self._folder or "", str(next(self._numbers)))
            os.mkdir(path, 0o700)
            return path

    def close(self) -> None:
        """Removes all folders. May be called twice."""
        with self._making:
            if self._folder is not None:
                job_files.remove(self._folder)
                os.close(self._lock)
                self._folder = None

    def _make(self) -> None:
        os.makedirs(self._place, mode=0o700, exist_ok=True)
        for name in os.listdir(self._place):
            if name.startswith(_PREFIX):
                _remove_if_dead(os.path.join(self._place, name))
        folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{self._name}-", dir=self._place)
        new = os.path.join(folder, "new-" + _LOCK)
        self._lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Nobody ever sees the file unlocked while this cloud lives.
        os.rename(new, os.path.join(folder, _LOCK))
        self._folder = folder


def _remove_if_dead(folder: str) -> None:
    try:
        lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # it is just being made or removed, or is another user's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        job_files.remove(folder)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
