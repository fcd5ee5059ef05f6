"""Finds and kills the processes of a container that has no pid namespace, whatever became of them.

They are known by a mark in the environment they were started with, by the session of the container's first process, and
(at the end of the whole sandbox) by their parent, to whom orphans fall. What escapes the end of its *container* is a
daemon that cleared its environment and left the session; it dies with the sandbox.
"""

from __future__ import annotations

import os
import select
import signal
import sys

#: Variable that holds the mark: the sandbox's nonce, a full stop, the container's number, a full stop.
MARK = "CLOUDTUNE_CONTAINER"

_HAS_PROC = sys.platform.startswith("linux")

#: Milliseconds between two looks at a process whose end the system does not tell.
_LOOK_INTERVAL = 10


def kill_all(mark: str, session: int = 0, parent: int = 0) -> None:
    """Kills processes until there are none (zombies apart), and returns then. The calling process is spared.

    Args:
        mark: What their ``CLOUDTUNE_CONTAINER`` begins with.
        session: Session they may be in instead; 0: no such session.
        parent: Parent that they may have instead; 0: no such parent.
    """
    forbidden: set[int] = set()
    while found := _find(mark, session, parent) - forbidden:  # they may have forked while the list was made
        for pid in found:
            try:
                _kill(pid, mark, session, parent)
            except ProcessLookupError:
                continue
            except PermissionError:  # it has become another user's
                forbidden.add(pid)


def _kill(pid: int, mark: str, session: int, parent: int) -> None:
    handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    try:
        # Looked at again now that the handle is bound to it: the number may have gone to another process.
        if not _HAS_PROC or _belongs(pid, mark.encode(), session, parent):
            os.kill(pid, signal.SIGKILL)
            end = select.poll()
            if handle is not None:
                end.register(handle, select.POLLIN)
            end.poll(None if handle is not None else _LOOK_INTERVAL)
    finally:
        if handle is not None:
            os.close(handle)


def _find(mark: str, session: int, parent: int) -> set[int]:
    if not _HAS_PROC:
        return _find_by_ps(mark, session, parent)
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid for pid in pids if pid != os.getpid() and _belongs(pid, mark.encode(), session, parent)}


def _belongs(pid: int, mark: bytes, session: int, parent: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent_pid, _, session_id = file.read().rpartition(b")")[2].split()[:4]
        if state in b"ZX":
            return False
        # 0 stands for none. In /proc it stands for the kernel and for whatever lies outside of this pid namespace.
        if (parent > 0 and int(parent_pid) == parent) or (session > 0 and int(session_id) == session):
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"\0%s=%s" % (MARK.encode(), mark) in b"\0" + file.read()
    except OSError:  # it has ended, or is another user's
        return False


def _find_by_ps(mark: str, session: int, parent: int) -> set[int]:
    """On macOS: processes of the group or parent, and those whose environment ps(1) shows with the mark."""
    import subprocess

    columns = ["-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat=", "-o", "command="]
    listing = subprocess.run(["/bin/ps", "-A", "-E", "-ww", *columns], capture_output=True, check=False)
    found = set()
    for line in listing.stdout.splitlines():
        pid, parent_pid, group, state, command = [*line.split(None, 4), b"", b"", b"", b"", b""][:5]
        if not pid.isdigit() or int(pid) == os.getpid() or state.startswith(b"Z") or command.startswith(b"/bin/ps "):
            continue
        marked = f" {MARK}={mark}".encode() in command
        if marked or (parent and int(parent_pid) == parent) or (session and int(group) == session):
            found.add(int(pid))
    return found
