"""The folders of running jobs, and those that a killed cloud has left."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading

from cloudtune.localcloud.jobs.locked_folder import LockedFolder, remove_dead

_PREFIX = "cloudtune-jobs-"


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
        self._folder: LockedFolder | None = None

    def open(self) -> None:
        """Makes the cloud's folder now instead of with the first job. Raises OSError."""
        with self._making:
            self._made()

    def new(self) -> str:
        """An empty folder. Its path is short, since sockets in it may not have long ones. Raises OSError."""
        with self._making:
            path = os.path.join(self._made().path, str(next(self._numbers)))
            os.mkdir(path, 0o700)
            return path

    def close(self) -> None:
        """Removes all folders. May be called twice."""
        with self._making:
            if self._folder is not None:
                self._folder.remove()
                self._folder = None

    def _made(self) -> LockedFolder:
        """The cloud's folder. The lock is held."""
        if self._folder is None:
            os.makedirs(self._place, mode=0o700, exist_ok=True)
            remove_dead(self._place, _PREFIX)
            self._folder = LockedFolder(self._place, f"{_PREFIX}{self._name}-")
        return self._folder
