"""Reading and removing what a job wrote, which may be anything: links, pipes, folders without rights."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

_log = logging.getLogger(__name__)

#: Never through a link, and never waiting for the other end of a named pipe.
_CAREFUL = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class JobFile(NamedTuple):
    """A regular file of a job.

    Args:
        path: Below the folder that was walked, with slashes.
        folder: Descriptor of the folder that holds it; valid until the next file is asked for.
        name: Its name in that folder.
        status: Of the file.
    """

    path: str
    folder: int
    name: str
    status: os.stat_result


def open_folder(root: str, path: str) -> int | None:
    """A descriptor of the folder ``path`` below ``root``; None where there is none, or a link stands in the way."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.strip("/").split("/"):
        try:
            below = os.open(part, _CAREFUL | os.O_DIRECTORY, dir_fd=at)
        except OSError:
            return None
        finally:
            os.close(at)
        at = below
    return at


def is_folder(root: str, path: str) -> bool:
    """Whether ``path`` below ``root`` is a folder, with no link on the way to it."""
    fd = open_folder(root, path)
    if fd is not None:
        os.close(fd)
    return fd is not None


def open_file(folder: int, name: str) -> int | None:
    """A descriptor to read the regular file ``name``; None if it is gone, unreadable, or no regular file."""
    try:
        fd = os.open(name, _CAREFUL, dir_fd=folder)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def walk(root: str, path: str) -> Iterator[JobFile]:
    """The regular files below ``root/path``, in no certain order; no link is followed, not even by a race."""
    top = open_folder(root, path)
    if top is None:
        return
    try:
        for at, folders, names, folder in os.fwalk(".", dir_fd=top):
            folders.sort()
            below = at[2:] + "/" if at.startswith("./") else ""
            for name in sorted(names):
                try:
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                except OSError:  # it vanished
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield JobFile(below + name, folder, name, status)
    finally:
        os.close(top)


def read_text(root: str, path: str, limit: int) -> str:
    """The first ``limit`` characters of a file below ``root``; empty if there is no such regular file."""
    folder_path, _, name = path.rpartition("/")
    folder = open_folder(root, folder_path)
    if folder is None:
        return ""
    try:
        fd = open_file(folder, name)
    finally:
        os.close(folder)
    if fd is None:
        return ""
    with open(fd, "rb") as file:
        return file.read(4 * limit).decode("utf-8", "replace")[:limit]


def size_of(root: str, enough: int) -> int:
    """Bytes that the files below a folder take up on the disk; counting ends beyond ``enough``."""
    total = 0
    pending = [root]
    while pending and total <= enough:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    try:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                    except OSError:  # it vanished
                        continue
        except OSError:  # it vanished, or the job took its rights away: then it cannot grow either
            continue
    return total


def remove(folder: str) -> None:
    """Removes a folder and all in it, whatever rights the job left on it. Complains to the log if something stays."""

    def complain(_: Callable[..., object], path: str, error: object) -> None:
        if os.path.lexists(path):
            _log.warning("%s stays behind: %s", path, error)

    def again(function: Callable[..., object], path: str, _: object) -> None:
        parent = os.path.dirname(path)
        try:
            os.chmod(parent, 0o700)
            if not os.path.islink(path) and os.path.isdir(path):
                os.chmod(path, 0o700)
                if function is not os.rmdir:  # it could not be opened or listed: all of it once more
                    _remove_tree(path, complain)
                    return
            function(path)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("%s stays behind: %s", path, error)

    _remove_tree(folder, again)


def _remove_tree(folder: str, on_error: Callable[[Callable[..., object], str, object], None]) -> None:
    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=on_error)
    else:
        shutil.rmtree(folder, onerror=on_error)
