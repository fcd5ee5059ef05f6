"""What jobs may leave behind on this machine."""

from __future__ import annotations

import os
import threading

import psutil

from cloudtune.localcloud.jobs.job_environment import MARKER


def marked_processes(cloud_id: str) -> list[str]:
    """Processes that a cloud has started, however far down."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == cloud_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def job_threads() -> list[str]:
    """Threads of jobs and of warm pools."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("job ", "warm pools"))]


def descriptors() -> set[str]:
    """What this process has open, pipes and sockets with their numbers."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:  # that of the listing itself
            continue
    return found
