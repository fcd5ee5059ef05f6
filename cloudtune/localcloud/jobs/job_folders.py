"""The folders of running jobs, and those that a killed cloud has left."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
import threading

from cloudtune.localcloud.jobs import job_files

_PREFIX = "cloudtune-jobs-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class JobFolders:
    """Makes folders, in one folder per cloud that others may not enter. Thread-safe.

    It is locked as long as the cloud lives. So a cloud can tell what a killed one has left beside its own
    folder, and removes it.

    Args:
        place: Where the cloud's folder is to be made, by default where temporary files go.
        name: Of the cloud.
    """

    def __init__(self, place: str | None, name: str) -> None:
        self._place = os.path.abspath(place or tempfile.gettempdir())
        self._name = name
        self._making = threading.Lock()
        self._numbers = itertools.count(1)
        self._folder: str | None = None
        self._lock = -1

    def open(self) -> None:
        """Makes the cloud's folder now instead of with the first job. Raises OSError."""
        with self._making:
            if self._folder is None:
                self._make()

    def new(self) -> str:
        """An empty folder. Its path is short, since sockets in it may not have long ones. Raises OSError."""
        self.open()
        with self._making:
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
        new = tempfile.mkdtemp(prefix=f"new-{self._name}-", dir=self._place)
        self._lock = os.open(new, _FOLDER)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Under the name that others look for, nobody ever sees it unlocked while this cloud lives.
        folder = os.path.join(self._place, _PREFIX + os.path.basename(new).removeprefix("new-"))
        os.rename(new, folder)
        self._folder = folder


def _remove_if_dead(folder: str) -> None:
    try:
        lock = os.open(folder, _FOLDER)
    except OSError:  # it has just been removed, or is another user's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        job_files.remove(folder)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
