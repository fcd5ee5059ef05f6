"""Folders that are locked as long as a process lives that uses them, so that others can tell which are left over."""

from __future__ import annotations

import fcntl
import os
import tempfile

from cloudtune.localcloud.jobs import job_files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LockedFolder:
    """A new folder that only its user may enter.

    It stays locked until it is closed, or until all processes have ended that hold the descriptor ``lock``: those
    forked from this one, and those it is passed to.

    Args:
        place: The folder to make it in.
        prefix: What its name begins with, by which :func:`remove_dead` finds it.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, place: str, prefix: str) -> None:
        new = tempfile.mkdtemp(prefix=f"new-{prefix}", dir=place)
        self.lock = -1
        #: Absolute if ``place`` is.
        self.path = os.path.join(place, os.path.basename(new).removeprefix("new-"))
        try:
            self.lock = os.open(new, _FOLDER)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            # Under the name that others look for, nobody ever sees it unlocked while a process lives that uses it.
            os.rename(new, self.path)
        except BaseException:
            self.close()
            os.rmdir(new)
            raise

    def remove(self) -> None:
        """Removes the folder, and closes it. May be called twice."""
        if self.lock >= 0:
            job_files.remove(self.path)
            self.close()

    def close(self) -> None:
        """Lets go of the lock, as far as this process holds it. May be called twice."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


def remove_dead(place: str, prefix: str) -> None:
    """Removes what killed processes of this user have left, as far as it can be found and removed.

    Args:
        place: Where to look.
        prefix: What names of :class:`LockedFolder` begin with. Links of such names stay, wherever they lead.
    """
    try:
        names = os.listdir(place)
    except PermissionError:  # as some system's folder for temporary files, in which all may write but not look
        return
    for name in names:
        if name.startswith(prefix):
            _remove_if_dead(os.path.join(place, name))


def _remove_if_dead(path: str) -> None:
    try:
        lock = os.open(path, _FOLDER)
    except OSError:  # it has just been removed, or is a link, or another user's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(lock)
        # root may open anybody's; and another process may have removed this one just before the lock was free.
        if status.st_uid == os.geteuid() and os.path.samestat(status, os.lstat(path)):
            job_files.remove(path)
    except (BlockingIOError, FileNotFoundError):  # somebody lives in it, or it has just been removed
        return
    finally:
        os.close(lock)
