"""The last lines of what a trial wrote, for people who ask why it failed."""

from __future__ import annotations

import os

_BYTES = 2048
_LINES = 10


def last_lines(path: str, start: int = 0) -> str:
    """The last ten lines (at most 2 kB) of a file from byte ``start`` on; "" if there are none. Reads only the end."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(start, size - _BYTES)
            file.seek(begin)
            data = file.read(size - begin)
    except FileNotFoundError:
        return ""
    lines = data.decode("utf-8", "replace").rstrip().splitlines()
    if begin > start and len(lines) > 1:
        lines = lines[1:]  # its beginning was cut off
    return "\n".join(lines[-_LINES:])


def whole(path: str) -> str:
    """Everything in a file; "" if it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
