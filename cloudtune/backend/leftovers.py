"""Ends the processes that a killed supervisor left behind, found by a mark in their environment."""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Iterable

from cloudtune.backend import child_processes
from cloudtune.backend.child_processes import HAS_PROC

_log = logging.getLogger(__name__)

#: Milliseconds between two looks at a process whose end the system does not tell.
_LOOK_INTERVAL = 10


def processes_of(mark: str) -> list[int]:
    """Processes, other than this one, that were started with ``mark``, a ``NAME=value``. Needs /proc (Linux)."""
    if not HAS_PROC:
        return []
    own = os.getpid()
    wanted = mark.encode()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own and _has(name, wanted)]


def end_processes_of(mark: str, leaders: Iterable[int] = ()) -> int:
    """Kills (SIGKILL) every process that bears a mark and returns when they are gone.

    One that may not be killed (it has become another user's) is left running, with a warning.

    Args:
        mark: ``NAME=value`` of a variable in their environment.
        leaders: Trials' main processes that are known: with them their process groups are killed.

    Returns:
        Number of processes ended. Without /proc only the groups are killed and nothing is found.
    """
    known = set(leaders)
    if not HAS_PROC:
        for leader in known:
            _kill_group(leader)
        return 0
    ended: set[int] = set()
    left: set[int] = set()
    while remaining := set(processes_of(mark)) - left:  # a process may have forked while the list was made
        for pid in remaining:
            try:
                _kill_and_wait(pid, mark, group=pid in known)
            except PermissionError:
                left.add(pid)
            else:
                ended.add(pid)
    if left:
        _log.warning(
            "process %s of a trial was left running, because it belongs to another user; end it yourself",
            ", ".join(map(str, sorted(left))),
        )
    return len(ended)


def _kill_and_wait(pid: int, mark: str, group: bool) -> None:
    wanted = mark.encode()
    handle = child_processes.watch(pid)  # None on old kernels and Pythons, and in containers that forbid it
    try:
        # Looked at again now that the handle is bound to it: the number may have gone to another process.
        if _has(str(pid), wanted):
            if group:
                _kill_group(pid)
            _kill(pid, handle)
            ends = select.poll()
            if handle is not None:
                ends.register(handle, select.POLLIN)
            while not ends.poll(_LOOK_INTERVAL if handle is None else None) and _has(str(pid), wanted):
                continue
    except ProcessLookupError:
        return
    finally:
        if handle is not None:
            os.close(handle)


def _kill(pid: int, handle: int | None) -> None:
    if handle is not None:
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            raise
        except OSError:  # a container may forbid this call too; if not, the next one says the same
            os.kill(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it is gone; PermissionError is how macOS says it
        return


def _has(pid: str, wanted: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return wanted in file.read().split(b"\0")
    except OSError:  # it has ended, or belongs to another user
        return False
