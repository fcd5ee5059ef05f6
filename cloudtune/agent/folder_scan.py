"""What lies in a checkpoint directory at one moment: files, as what tells a changed one, and empty folders."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from cloudtune.checkpoint import UNFINISHED_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class FileState(NamedTuple):
    """A file, as the file system describes it.

    Attributes:
        changed_ns: When anything about the file was changed, be it the number of its links.
    """

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    mode: int

    @property
    def content(self) -> tuple[int, int, int, int]:
        """As long as it stays the same, so does the content. Making a hard link does not change it."""
        return self.device, self.inode, self.size, self.modified_ns


class Scan(NamedTuple):
    """A directory at one moment.

    Attributes:
        files: By path, relative to the directory, "/" between folders. Never a link: what a link leads to.
        sources: Path of each file in the file system, links resolved.
        folders: Empty ones.
    """

    files: dict[str, FileState]
    sources: dict[str, str]
    folders: list[str]

    def differs_from(self, other: Scan) -> str | None:
        """A path that is not as it is in the other scan; None if all are."""
        for path in sorted({*self.files, *other.files}):
            mine, its = self.files.get(path), other.files.get(path)
            if mine is None or its is None or mine.content != its.content or mine.mode != its.mode:
                return path
        for path in sorted({*self.folders} ^ {*other.folders}):
            return path
        return None


def state_of(path: str) -> FileState:
    """Of a regular file; a link is not followed.

    Raises:
        OSError: There is none.
    """
    return _state(os.stat(path, follow_symlinks=False))


def _state(found: os.stat_result) -> FileState:
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError("not a regular file")
    return FileState(
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        stat.S_IMODE(found.st_mode) & 0o777,
    )


def scan(folder: str, note: Callable[[str], None]) -> Scan:
    """Reads a directory, which need not exist.

    Left out is what begins with ``.unfinished-`` (being written by :func:`cloudtune.checkpoint.save_checkpoint`), and,
    with a note, what cannot be part of a checkpoint: links that lead out of the directory or round in a circle, and
    what is neither file nor folder.

    Raises:
        OSError: Something cannot be read, or was removed while it was.
    """
    return _Scanner(folder, note).scan()


class _Scanner:
    def __init__(self, folder: str, note: Callable[[str], None]) -> None:
        self._root = os.path.realpath(folder)
        self._note = note
        self._found = Scan({}, {}, [])

    def scan(self) -> Scan:
        if os.path.isdir(self._root):
            self._walk(self._root, "", False)
        return self._found

    def _walk(self, folder: str, path: str, linked: bool) -> None:
        """Reads ``folder``, which is, or stands for, the one at ``path``."""
        before = len(self._found.files), len(self._found.folders)
        with os.scandir(folder) as entries:
            finished = sorted((e for e in entries if not e.name.startswith(UNFINISHED_PREFIX)), key=lambda e: e.name)
        for entry in finished:
            below = path + "/" + entry.name if path else entry.name
            if entry.is_symlink():
                self._follow(entry.path, below, linked)
            elif entry.is_dir(follow_symlinks=False):
                self._walk(entry.path, below, linked)
            elif entry.is_file(follow_symlinks=False):
                self._add(entry.path, below)
            else:
                self._note(f"{below} is left out of the checkpoint: it is neither a file nor a folder")
        if path and before == (len(self._found.files), len(self._found.folders)):
            self._found.folders.append(path)

    def _add(self, source: str, path: str) -> None:
        self._found.files[path] = state_of(source)
        self._found.sources[path] = source

    def _follow(self, link: str, path: str, linked: bool) -> None:
        """A link that stays inside stands for a copy of what it leads to."""
        target = os.path.realpath(link)
        inside = (target + os.sep).startswith(self._root + os.sep)
        if inside and (os.sep + UNFINISHED_PREFIX) in target[len(self._root) :]:
            return
        if inside and os.path.isfile(target):
            self._add(target, path)
        elif inside and os.path.isdir(target) and not linked and not (link + os.sep).startswith(target + os.sep):
            self._walk(target, path, True)
        else:
            why = "leads to a folder that holds it, or through another link" if inside else "leads out of it"
            if not os.path.exists(target):
                why = "leads nowhere"
            self._note(f"{path} is left out of the checkpoint: a link that {why}")
