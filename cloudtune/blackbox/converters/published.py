"""Published files: found where a user says they are, or named as missing, with the place where they are published."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from cloudtune.errors import CloudtuneError


class NoPublishedFile(CloudtuneError):
    """A path holds no file of a source; the message says which file is meant and where it is published."""


class UnknownForm(CloudtuneError):
    """A file is not in the form in which its source is published."""


class MissingLibrary(CloudtuneError, ImportError):
    """Files of a source need a library that is not installed; the message holds the line to type."""


@dataclass(frozen=True)
class Source:
    """Where a benchmark comes from.

    Args:
        title: Its name and paper.
        files: The files that are converted, in words.
        place: Address at which they are published.
        licence: Of the data.
    """

    title: str
    files: str
    place: str
    licence: str

    def about(self, *remarks: str) -> str:
        """What a table says of itself."""
        return " ".join([f"{self.title}. Data: {self.place} ({self.licence}).", *remarks])

    def missing(self, path: Path, what: str = "") -> NoPublishedFile:
        """The error that says that ``path`` has nothing to convert, or not ``what``."""
        found = "there is nothing at" if not path.exists() else f"there is no {what or 'such file'} in"
        return NoPublishedFile(f"{found} {path}; download {self.files} from {self.place} and give its path")

    def unknown(self, path: Path, reason: object) -> UnknownForm:
        """The error that says that a file is not what was published."""
        return UnknownForm(
            f"{path} is not in the published form ({reason}); download {self.files} from {self.place} again"
        )


def files_at(source: Source, path: str | Path, *patterns: str) -> list[Path]:
    """The file at ``path``, or the files in a folder that match one of the patterns, by name.

    Raises:
        NoPublishedFile: There is none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    found = sorted({file for pattern in patterns for file in path.glob(pattern)}) if path.is_dir() else []
    if not found:
        raise source.missing(path, " or ".join(patterns))
    return found


def chosen(names: Iterable[str], datasets: Collection[str] | None) -> list[str]:
    """Those of the data sets that are wanted, all if ``datasets`` is None.

    Raises:
        ValueError: One that is wanted is not there.
    """
    known = list(names)
    for name in datasets or ():
        if name not in known:
            raise ValueError(f"there is no data set {name!r}; these files have {', '.join(known)}")
    return [name for name in known if datasets is None or name in datasets]


def library(name: str, what: str) -> Any:
    """A library that cloudtune does not depend on.

    Raises:
        MissingLibrary: It is not installed.
    """
    try:
        module: ModuleType = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingLibrary(f"{what} needs {name}, which is not installed: pip install {name}") from None
    return module
