"""Reading and removing what a job wrote, which may be anything: links, pipes, folders without rights or without end."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_log = logging.getLogger(__name__)

#: Never through a link, and never waiting for the other end of a named pipe.
_CAREFUL = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ANY_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

#: What the owner of a folder needs to list it and to reach what is in it; and to remove that.
_READ, _REMOVE = 0o500, 0o700


class JobFile(NamedTuple):
    """What a job made: a file, a folder, a link.

    Args:
        path: Below the folder that was walked, with slashes.
        folder: Descriptor of the folder that holds it; valid until the next is asked for.
        name: Its name in that folder.
        status: Of the thing itself, no link being followed.
        left: False when it is met; of a folder True when all that is below it was given.
    """

    path: str
    folder: int
    name: str
    status: os.stat_result
    left: bool = False


@dataclass
class _Folder:
    """One on the way from the top to where a walk is. Only the last is open: jobs can nest thousands.

    Args:
        name: In the folder above.
        status: As it was found there.
        identity: Device and inode of what was opened under that name.
        pending: Folders in it that are still to be walked, the next one last; None: it is not listed yet.
    """

    name: str
    status: os.stat_result
    identity: tuple[int, int]
    pending: list[tuple[str, os.stat_result]] | None = None


def open_folder(root: str, path: str) -> int | None:
    """A descriptor of the folder ``path`` below ``root``; None where there is none, or a link stands in the way.

    What it takes to reach it is taken: the owner may always read.
    """
    parent, name = os.path.split(root)
    try:
        at = os.open(parent, _ANY_FOLDER)
    except OSError:
        return None
    for part in [name, *filter(None, path.split("/"))]:
        try:
            below = _enter(at, part, _READ)
        except OSError:
            return None
        finally:
            os.close(at)
        at = below
    return at


def open_file(folder: int, name: str) -> int | None:
    """A descriptor to read the regular file ``name``; None if it is gone, another user's, or no regular file.

    Rights that its owner has taken away from himself do not matter, and stay as they are.
    """
    try:
        fd = _open_file(folder, name)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def entries(root: str, path: str) -> Iterator[JobFile]:
    """All below ``root/path``, folders before what they hold; no link is followed, not even by a race.

    What is moved or removed meanwhile may be left out.
    """
    top = open_folder(root, path)
    if top is not None:
        for entry in _walk(top, None, _READ):
            if not entry.left:
                yield entry


def walk(root: str, path: str) -> Iterator[JobFile]:
    """The regular files of :func:`entries`."""
    for entry in entries(root, path):
        if stat.S_ISREG(entry.status.st_mode):
            yield entry


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
    """Bytes that the files below a folder hold, holes in them included; counting ends beyond ``enough``.

    A hole takes no place here, but would in S3, where the files go. Folders that the job locked are left out: it
    cannot write there either.
    """
    top = os.open(root, _CAREFUL | os.O_DIRECTORY)
    total = 0
    for entry in _walk(top, None, 0):
        if not entry.left:
            total += max(entry.status.st_blocks * 512, entry.status.st_size)
        if total > enough:
            break
    return total


def remove(folder: str) -> None:
    """Removes a folder and all in it, whatever the job did to it. Never fails: what stays behind is told to the log."""
    error = try_to_remove(folder)
    if error is not None:
        _log.warning("%s stays behind: %s", folder, error)


def try_to_remove(folder: str) -> OSError | None:
    """As :func:`remove`; gives the first error that left something, None if nothing is left."""
    parent, name = os.path.split(os.path.abspath(folder))
    first: OSError | None = None
    try:
        at = os.open(parent, _ANY_FOLDER)
        try:
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
        except BaseException:
            os.close(at)
            raise
        for entry in _walk(at, [(name, status)], _REMOVE):
            is_folder = stat.S_ISDIR(entry.status.st_mode)
            if is_folder and not entry.left:
                continue
            try:
                if is_folder:
                    os.rmdir(entry.name, dir_fd=entry.folder)
                else:
                    os.unlink(entry.name, dir_fd=entry.folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                first = first or error
    except FileNotFoundError:
        return first
    except OSError as error:
        return first or error
    return first


def _walk(top: int, pending: list[tuple[str, os.stat_result]] | None, rights: int) -> Iterator[JobFile]:
    """Everything below a folder, without recursion, and with two descriptors however deep it goes.

    Args:
        top: Descriptor of the folder; closed in the end.
        pending: Folders in it to be walked; None: all that is in it.
        rights: That the owner needs on each folder: taken where he lacks them, and given back unless all is removed.
    """
    at = os.dup(top)
    way: list[_Folder] = []
    here = _Folder("", os.fstat(top), _identity(top), pending)
    prefix = ""  # of the paths of what is here; to keep those of thousands of nested folders would take too much room
    try:
        while True:
            if here.pending is None:
                here.pending = []
                for name in sorted(os.listdir(at)):
                    try:
                        status = os.stat(name, dir_fd=at, follow_symlinks=False)
                    except OSError:  # it vanished
                        continue
                    yield JobFile(prefix + name, at, name, status)
                    if stat.S_ISDIR(status.st_mode):
                        here.pending.append((name, status))
                here.pending.reverse()
            if here.pending:
                name, status = here.pending.pop()
                try:
                    below = _enter(at, name, rights)
                except OSError:  # it vanished, became something else, or is another user's
                    yield JobFile(prefix + name, at, name, status, left=True)
                    continue
                os.close(at)
                at = below
                way.append(here)
                here = _Folder(name, status, _identity(at))
                prefix += name + "/"
            elif way:
                left, depth = here, len(way)
                taken = rights == _READ and left.status.st_mode & rights != rights
                at = _leave(at, top, way, stat.S_IMODE(left.status.st_mode) if taken else None)
                here = way.pop()
                if len(way) < depth - 1:
                    prefix = "".join(f"{folder.name}/" for folder in [*way[1:], *([here] if way else [])])
                else:
                    prefix = prefix[: -len(left.name) - 1]
                    yield JobFile(prefix + left.name, at, left.name, left.status, left=True)
            else:
                return
    finally:
        os.close(at)
        os.close(top)


def _leave(at: int, top: int, way: list[_Folder], mode: int | None) -> int:
    """Goes to the last folder of the way; if it was moved or removed, to the nearest above it that is still there.

    Then the way is cut to that. The folder that is left gets its ``mode`` back.
    """
    try:
        above = os.open("..", _ANY_FOLDER, dir_fd=at)
    except OSError:  # it was removed
        above = -1
    if mode is not None:
        os.fchmod(at, mode)
    os.close(at)
    if above >= 0:
        if _identity(above) == way[-1].identity:
            return above
        os.close(above)
    at = os.dup(top)
    for number, folder in enumerate(way[1:], 1):
        try:
            below = os.open(folder.name, _CAREFUL | os.O_DIRECTORY, dir_fd=at)
        except OSError:
            del way[number:]
            break
        os.close(at)
        at = below
        folder.identity = _identity(at)
    return at


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _enter(at: int, name: str, rights: int) -> int:
    """Opens the folder ``name``, on which its owner then has ``rights``. Raises OSError."""
    status = os.stat(name, dir_fd=at, follow_symlinks=False)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode) and mode & rights != rights:
        _try_to_change_mode(at, name, mode | rights)
    return os.open(name, _CAREFUL | os.O_DIRECTORY, dir_fd=at)


def _open_file(folder: int, name: str) -> int:
    try:
        return os.open(name, _CAREFUL, dir_fd=folder)
    except PermissionError:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise
    mode = stat.S_IMODE(status.st_mode)
    _try_to_change_mode(folder, name, mode | stat.S_IRUSR)
    fd = os.open(name, _CAREFUL, dir_fd=folder)
    os.fchmod(fd, mode)
    return fd


def _try_to_change_mode(folder: int, name: str, mode: int) -> None:
    """Never of what a link leads to. Where it is not ours to change, opening it will say so."""
    try:
        if sys.platform == "linux":  # chmod(2) has no flag against links there
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                os.chmod(f"/proc/self/fd/{fd}", mode)
            finally:
                os.close(fd)
        else:
            os.chmod(name, mode, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        _log.debug("The rights of %s stay as they are: %s", name, error)
