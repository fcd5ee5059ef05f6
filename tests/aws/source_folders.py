"""Folders with the source of a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def source(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
