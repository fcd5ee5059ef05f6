"""Which files of a user's source folder go to the jobs, and under which names."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cloudtune.aws.ignore_patterns import IgnorePatterns
from cloudtune.errors import CloudtuneError

logger = logging.getLogger(__name__)

#: The first of these that is in a source folder says what stays at home.
IGNORE_FILES = (".cloudtuneignore", ".gitignore")

# What nobody wants in a job. Patterns of the user's come after them, so "!build.pyc" takes one back.
_NEVER_WANTED = IgnorePatterns(
    [
        ".hg/",
        ".svn/",
        "__pycache__/",
        "*.py[co]",
        ".venv/",
        "venv/",
        ".tox/",
        ".nox/",
        ".mypy_cache/",
        ".pytest_cache/",
        ".ruff_cache/",
        ".ipynb_checkpoints/",
        "node_modules/",
        ".DS_Store",
        *("/" + name for name in IGNORE_FILES),
    ]
)

# What may hold passwords and keys. It is left out with a warning, unless the user's patterns say something of it.
_SECRET = IgnorePatterns(
    [
        ".aws/",
        ".ssh/",
        ".env",
        ".env.*",
        "*.pem",
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        ".netrc",
        ".pypirc",
        ".git-credentials",
    ]
)

#: How many of the largest files and folders are named where the source is too large.
_SHOWN = 5

# What means something in a pattern; a blank does at the end.
_SPECIAL = re.compile(r"[*?\[\\]| $")


class BundleError(CloudtuneError):
    """The source cannot be packed for the jobs; the message names the file and the remedy."""


@dataclass(frozen=True)
class SourceFile:
    """A file to be packed.

    Attributes:
        name: Relative to the source folder, "/" between folders.
        path: Where it lies.
        size: Bytes.
        executable: Whether anybody may run it.
    """

    name: str
    path: str
    size: int
    executable: bool


@dataclass
class SourceFolder:
    """What is taken of a folder.

    Attributes:
        files: Sorted by their names.
        secrets: Names of what was left out because it may hold passwords or keys.
        ignore_file: Name of the file whose patterns count; None if there is none.
    """

    files: list[SourceFile] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    ignore_file: str | None = None


def read_folder(folder: Path, below: str = "", stop_at: int | None = None) -> SourceFolder:
    """Chooses the files of a folder.

    Args:
        folder: Whose files; its own ``.cloudtuneignore``, or else its ``.gitignore``, counts.
        below: What their names begin with, "" or with a slash at its end.
        stop_at: Look no further when the files found make up more than so many bytes. By default: look at all.

    Raises:
        BundleError: It cannot be read, or a link in it leads out of it.
    """
    reader = _Reader(folder, below, stop_at)
    try:
        reader.read()
    except OSError as error:
        raise _unreadable(error.filename or str(folder), error) from error
    reader.found.files.sort(key=lambda file: file.name)
    return reader.found


def read_file(path: Path, name: str) -> SourceFile:
    """A single file, which is packed whatever its name is.

    Raises:
        BundleError: It is not there, or no file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(str(path), error) from error
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(f"{path} is not a file; name the file itself.")
    return SourceFile(_checked(name), str(path), found.st_size, bool(found.st_mode & 0o111))


def lines_that_keep(names: Iterable[str]) -> list[str]:
    """Lines of an ignore file by which all of a folder's files are taken again that had been taken once.

    Args:
        names: Of the files, relative to the folder.
    """
    found: set[str] = set()
    for name in names:
        parts = name.split("/")
        paths = [("/".join(parts[:end]), end < len(parts)) for end in range(1, len(parts) + 1)]
        found.update(path for path, is_folder in paths if _is_left_out_unasked(path, is_folder))
    return ["!/" + _SPECIAL.sub(r"\\\g<0>", path) for path in sorted(found)]


def _is_left_out_unasked(path: str, is_folder: bool) -> bool:
    return bool(_SECRET.decide(path, is_folder) or _NEVER_WANTED.decide(path, is_folder))


class _Reader:
    def __init__(self, folder: Path, below: str, stop_at: int | None) -> None:
        self.found = SourceFolder()
        self._root = os.path.realpath(folder)
        self._below = below
        self._patterns = IgnorePatterns(())
        self._left = float("inf") if stop_at is None else stop_at

    def read(self) -> None:
        for name in IGNORE_FILES:
            path = os.path.join(self._root, name)
            if os.path.isfile(path):
                # Git reads bytes; names are compared as the file system's functions give them.
                with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
                    self._patterns = IgnorePatterns(file)
                self.found.ignore_file = name
                break
        self._walk(self._root, "", (self._root,))

    def _walk(self, folder: str, path: str, above: tuple[str, ...]) -> None:
        """Reads ``folder``, which stands at ``path``; ``above`` are the real folders that hold it, and it."""
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if self._left < 0:
                return
            below = path + entry.name
            is_folder = entry.is_dir()
            if self._is_left_out(entry, below, is_folder):
                continue
            place = self._followed(entry, below) if entry.is_symlink() else entry.path
            if is_folder:
                if place in above:
                    raise BundleError(
                        f"The link {entry.path} leads to a folder that holds it; remove it, or list it in "
                        f"{IGNORE_FILES[0]}."
                    )
                self._walk(place, below + "/", (*above, place))
            elif entry.is_file():
                file = read_file(Path(place), self._below + below)
                self.found.files.append(file)
                self._left -= file.size
            else:
                logger.warning("%s is neither a file nor a folder and is left out of the jobs' source", entry.path)

    def _is_left_out(self, entry: os.DirEntry[str], path: str, is_folder: bool) -> bool:
        # Like git, patterns for folders do not mean links to folders.
        as_folder = is_folder and not entry.is_symlink()
        is_environment = is_folder and os.path.isfile(os.path.join(entry.path, "pyvenv.cfg"))  # whatever its name is
        if entry.name == ".git" or is_environment or self._patterns.decide(path, as_folder):
            return True
        if self._patterns.takes_back(path, as_folder):
            return False
        if _SECRET.decide(path, is_folder):
            self.found.secrets.append(self._below + path)
            return True
        return bool(_NEVER_WANTED.decide(path, is_folder))

    def _followed(self, link: os.DirEntry[str], path: str) -> str:
        """What a link leads to, which is packed in its place."""
        target = os.path.realpath(link.path)
        if not os.path.exists(target):
            raise BundleError(
                f"The link {link.path} leads to {target}, which does not exist; remove it, or list it in "
                f"{IGNORE_FILES[0]}."
            )
        if not (target + os.sep).startswith(self._root + os.sep):
            raise BundleError(
                f"The link {link.path} leads out of the source folder, to {target}; copy what it leads to, or list "
                f"{path} in {IGNORE_FILES[0]}."
            )
        return target


def _checked(name: str) -> str:
    """A name that every job can unpack."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BundleError(
            f"The name of {name!r} is no valid text; rename the file, or list it in {IGNORE_FILES[0]}."
        ) from None
    if "\\" in name:
        raise BundleError(f"The name of {name} has a backslash; rename the file, or list it in {IGNORE_FILES[0]}.")
    return name


def _unreadable(path: str, error: OSError) -> BundleError:
    return BundleError(
        f"{path} cannot be packed for the jobs: {error.strerror or error}; correct the path or its permissions, or "
        f"list it in {IGNORE_FILES[0]}."
    )


def largest(files: list[SourceFile]) -> Iterator[tuple[str, int]]:
    """The largest files and folders: a folder instead of what is in it, unless one thing makes up most of it."""
    sizes: dict[str, int] = {}
    for file in files:
        parts = file.name.split("/")
        for end in range(1, len(parts)):
            above = "/".join(parts[:end]) + "/"
            sizes[above] = sizes.get(above, 0) + file.size
        sizes[file.name] = file.size
    shown: list[str] = []
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        inside = [other for other in sizes if other.startswith(name) and other != name] if name.endswith("/") else []
        if any(2 * sizes[other] > sizes[name] for other in inside) or any(name.startswith(one) for one in shown):
            continue
        shown.append(name)
        yield name, sizes[name]
        if len(shown) == _SHOWN:
            return
