"""A local store that is opened, killed or run in a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cloudtune.store.local_store import LocalStore


def forget(store: LocalStore) -> None:
    """What the kernel does to the store of a process that is killed: closes its files."""
    if store._background is not None:
        store._background.shutdown(wait=True)
    assert store._lease is not None
    assert store._lease._fd is not None
    os.close(store._fd)
    os.close(store._lease._fd)


def opened(path: Path, **options: Any) -> LocalStore:
    store = LocalStore(path, **options)
    store.open()
    return store


def segment(path: Path, number: int) -> Path:
    return path / "log" / f"{number:06d}.jsonl"


def run_program(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
