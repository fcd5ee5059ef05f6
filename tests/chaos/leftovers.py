"""Finding what an experiment may have left: processes with its mark in their environment, descriptors, threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil

from cloudtune.constants import ENV_EXPERIMENT


def marked_processes(name: str, folder: str) -> list[str]:
    """Command lines of living processes (other than this one) that carry the experiment's name and folder."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            environment = process.environ()
            if (
                environment.get(ENV_EXPERIMENT, "").startswith(f"{name}-")
                and environment.get("CLOUDTUNE_FOLDER") == folder
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def descriptors() -> dict[int, str]:
    """What this process has open, by number; on systems that do not tell, the numbers alone."""
    place = Path("/proc/self/fd")
    found = {}
    for entry in (place if place.exists() else Path("/dev/fd")).iterdir():
        number = int(entry.name)
        try:
            os.fstat(number)
            found[number] = os.readlink(entry) if place.exists() else ""
        except OSError:
            continue  # the descriptor with which the folder was read
    return found


def threads() -> list[str]:
    """The threads of this process: those that Python knows by name, and how many there are in all."""
    return [*sorted(thread.name for thread in threading.enumerate()), str(psutil.Process().num_threads())]
