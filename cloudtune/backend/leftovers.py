"""Ends the processes that a killed supervisor left behind, found by a mark in their environment."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable

from cloudtune.backend.child_processes import HAS_PROC


def processes_of(mark: str) -> list[int]:
    """Processes, other than this one, that were started with ``mark``, a ``NAME=value``. Needs /proc (Linux)."""
    if not HAS_PROC:
        return []
    own = os.getpid()
    wanted = mark.encode()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own and _has(name, wanted)]


def end_processes_of(mark: str, leaders: Iterable[int] = ()) -> int:
    """Kills (SIGKILL) every process that bears a mark and returns when they are gone.

    Args:
        mark: ``NAME=value`` of a variable in their environment.
        leaders: Trials' main processes that are known: with them their process groups are killed.

    Returns:
        Number of processes found. Without /proc only the groups are killed and nothing is found.
    """
    known = set(leaders)
    if not HAS_PROC:
        for leader in known:
            _kill_group(leader)
        return 0
    found: set[int] = set()
    while remaining := processes_of(mark):  # a process may have forked while the list was made
        for pid in remaining:
            found.add(pid)
            _kill_and_wait(pid, mark, group=pid in known)
    return len(found)


def _kill_and_wait(pid: int, mark: str, group: bool) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Looked at again now that the handle is bound to it: the number may have gone to another process.
        if _has(str(pid), mark.encode()):
            if group:
                _kill_group(pid)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.poll()
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


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
