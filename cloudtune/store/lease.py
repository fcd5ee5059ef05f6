"""The lease of a local experiment: a locked file that lets one tuner at a time drive it.

``fcntl`` is imported where a lock is taken: reading results works on systems that have none.
"""

from __future__ import annotations

import functools
import getpass
import json
import os
import socket
import sys
import time
import weakref
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cloudtune.errors import ExperimentLocked, Fenced

_MAX_COMMAND_LENGTH = 300
#: What may stand after ``cloudtune`` in the name of a program.
_OUR_COMMANDS = frozenset({"resume", "tune"})


class FileLease:
    """Exclusive lock (``flock``) on a file whose content names the owner.

    The kernel gives the lock back when the owner dies, however it dies. Taking over from an owner that is alive puts a
    new file in the place of the locked one: the old owner sees at its next :meth:`check` that its file is gone.

    Args:
        path: The lock file. It stays when the lease is given back, empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None

    def acquire(self, takeover: bool = False) -> dict[str, Any]:
        """Takes the lease and returns who we are: ``host``, ``pid``, ``user``, ``since`` (Unix seconds), ``command``.

        Args:
            takeover: Take it even if somebody holds it.

        Raises:
            ExperimentLocked: Somebody holds it and ``takeover`` is false.
        """
        fd = self._lock_existing()
        if fd is None:
            if not takeover:
                raise ExperimentLocked(self._who_holds_it())
            fd = self._lock_new()
        owner = ourselves()
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(owner).encode(), 0)
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        self._identity = _identity(os.fstat(fd))
        _held.add(self)
        _close_in_forks()
        return owner

    def close_copy(self) -> None:
        """In a process forked from the owner: lets go of the copy, so that the lock ends with the owner alone."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = self._identity = None

    def check(self) -> None:
        """Returns if the lease is still ours.

        Raises:
            Fenced: It is not.
        """
        try:
            ours = _identity(self._path.stat()) == self._identity
        except FileNotFoundError as error:
            raise Fenced(
                f"the lock file {self._path} is gone: somebody moved or deleted the experiment's folder, so this tuner "
                "stops"
            ) from error
        if not ours:
            holder = read_holder(self._path)
            raise Fenced(
                f"experiment {self._path.parent.name!r} was taken over by {describe_holder(holder)}: this tuner stops "
                "and leaves everything to that one"
            )

    def release(self) -> None:
        """Gives the lease back. Safe to call when it is not held."""
        if self._fd is None:
            return
        fd, self._fd, self._identity = self._fd, None, None
        _held.discard(self)
        import fcntl

        # Unlocked by name, since a process forked from this one may still hold a copy of the descriptor.
        os.ftruncate(fd, 0)
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)

    def _lock_existing(self) -> int | None:
        """Opens and locks the file in place, creating it if there is none; None if somebody else has locked it."""
        import fcntl

        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _identity(self._path.stat()) == _identity(os.fstat(fd)):
                    return fd
            except BlockingIOError:
                os.close(fd)
                return None
            except FileNotFoundError:
                pass
            # Another tuner put a new file in place between our opening and our locking: that one counts.
            os.close(fd)

    def _lock_new(self) -> int:
        import fcntl

        fresh = self._path.with_name(f".lock.{os.urandom(8).hex()}.tmp")
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh.replace(self._path)
        return fd

    def _who_holds_it(self) -> str:
        holder = describe_holder(read_holder(self._path))
        return (
            f"experiment {self._path.parent.name!r} is driven by {holder}; wait for it to end, stop it, or take over "
            "with --takeover (Tuner.run(takeover=True))"
        )


#: Leases of this process.
_held: weakref.WeakSet[FileLease] = weakref.WeakSet()


@functools.cache
def _close_in_forks() -> None:
    """Once per process: a lock belongs to every process that has a copy of its descriptor, forks included."""
    os.register_at_fork(after_in_child=_close_copies)


def _close_copies() -> None:
    for lease in list(_held):
        lease.close_copy()


def read_holder(path: Path) -> dict[str, Any] | None:
    """What the lock file says about its owner; None if it is empty, absent, or being written."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return holder if isinstance(holder, dict) else None


def lease_holder_is_alive(path: Path) -> bool:
    """True if the owner named in the lock file is a living process of this machine. Never touches the lock itself."""
    holder = read_holder(path)
    if holder is None or holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def ourselves() -> dict[str, Any]:
    """This process as an owner: ``host``, ``pid``, ``user``, ``since`` (Unix seconds), ``command`` (the program)."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": _user(),
        "since": time.time(),
        "command": _program()[:_MAX_COMMAND_LENGTH],
    }


def _program() -> str:
    """The name of the program. Its arguments may be what nobody else is to read, and the owner is told to many."""
    path = Path(sys.argv[0] if sys.argv else "")
    name = path.parent.name if path.name == "__main__.py" else path.name
    if name == "cloudtune" and sys.argv[1:2] and sys.argv[1] in _OUR_COMMANDS:
        return f"{name} {sys.argv[1]}"
    return name or "python"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return str(os.getuid())


def describe_holder(holder: dict[str, Any] | None) -> str:
    """An owner in words."""
    if holder is None:
        return "another process"
    since = datetime.fromtimestamp(holder["since"], tz=timezone.utc)
    return f"pid {holder['pid']} on host {holder['host']} (user {holder['user']}) since {since:%Y-%m-%d %H:%M:%S} UTC"
