"""The child processes that a test has to answer for."""

from __future__ import annotations

import psutil


def own_children() -> list[psutil.Process]:
    """Children of this process, without the server that the fixture ``local_cloud`` shares among all tests."""
    return [child for child in psutil.Process().children() if not _is_local_cloud(child)]


def _is_local_cloud(process: psutil.Process) -> bool:
    try:
        return any("cloudtune.localcloud" in part for part in process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is somebody's fault
        return False
