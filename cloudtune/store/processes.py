"""Whether a process that left its name somewhere is one of this machine, and still lives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def process_identity() -> dict[str, Any]:
    """What tells this process from all others: ``boot_id``, ``pid_space``, ``pid_start``.

    Containers of one machine share its boot id, and each counts its processes by itself: hence ``pid_space``. All are
    None on a system that does not tell.
    """
    return {
        "boot_id": _text("/proc/sys/kernel/random/boot_id"),
        "pid_space": _pid_space(),
        "pid_start": _start(os.getpid()),
    }


def is_same_space(other: Mapping[str, Any]) -> bool:
    """Whether a process is, or was, one that this process could see."""
    ours = process_identity()
    return all(ours[key] is not None and ours[key] == other.get(key) for key in ("boot_id", "pid_space"))


def lives(other: Mapping[str, Any]) -> bool:
    """Whether a process of the same space is alive. Its number may be another's by now: the time of its start tells."""
    pid, start = other.get("pid"), other.get("pid_start")
    return isinstance(pid, int) and start is not None and _start(pid) == start


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def _pid_space() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _start(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None if it has ended, or nobody tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
