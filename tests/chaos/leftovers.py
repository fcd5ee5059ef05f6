"""Finding what a killed experiment may have left: processes with its mark in their environment."""

from __future__ import annotations

import os

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
