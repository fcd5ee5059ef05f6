"""Lays another folder over one of the machine's, as one process sees it, with what was there bound back into it."""

from __future__ import annotations

import os
import re

from cloudtune.localcloud.sandbox import linux

TYPE_CHECKING = False  # importing typing would make the spawner larger, and every fork of it dearer
if TYPE_CHECKING:
    from collections.abc import Iterable

#: More entries than this are not all bound back: each takes some 70 microseconds of every start.
MANY = 100


def cover(path: str, folder: str | None, needed: Iterable[str] = (), spare: Iterable[str] = ()) -> None:
    """Everything that is there at this moment stays where it was; what is made from now on lands in ``folder``.

    What cannot be bound back (it has vanished, its file system is dead) is left out. The mount points are empty files
    and folders in ``folder``, which stay there.

    Args:
        path: Folder to be covered.
        folder: What is laid over it; None: a file system in memory.
        needed: Texts. Of a folder with more than ``MANY`` entries, only those stay that are named in one of them.
        spare: Names of entries that are not bound back.

    Raises:
        OSError: It cannot be covered.
    """
    below = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Taken before the cover, which may be below.
        with os.scandir(below) as found:
            entries = [entry for entry in found if entry.name not in spare]
        if len(entries) > MANY:
            named = _named(path, needed)
            entries = [entry for entry in entries if entry.name in named]
        if folder is None:
            mode = os.fstat(below).st_mode & 0o7777
            linux.mount("cover", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, f"mode={mode:o}")
        else:
            bind(folder, path)
        for entry in entries:
            _show(entry, f"/proc/self/fd/{below}/{entry.name}", f"{path}/{entry.name}")
    finally:
        os.close(below)


def bind(source: str, target: str) -> None:
    """Raises OSError."""
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)


def _named(path: str, texts: Iterable[str]) -> set[str]:
    name = re.compile(re.escape(path) + r"/+([^/:;,\s\"']+)")
    return {found for text in texts for found in name.findall(text)}


def _show(entry: os.DirEntry[str], hidden: str, seen: str) -> None:
    try:
        if entry.is_symlink():
            os.symlink(os.readlink(hidden), seen)
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder:
            os.mkdir(seen)
        else:  # a socket or a pipe, too, can be mounted on a plain file
            os.close(os.open(seen, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    except OSError:
        return
    try:
        bind(hidden, seen)
    except OSError:
        (os.rmdir if is_folder else os.unlink)(seen)
