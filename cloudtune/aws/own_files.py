"""Small JSON files in which people put what cloudtune cannot find out, or gets wrong: prices and quotas."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.errors import CloudtuneError

#: Environment: where the files are, instead of ``~/.cloudtune``.
ENV_SETTINGS = "CLOUDTUNE_SETTINGS"


class BadFile(CloudtuneError):
    """A file of the user's, or one kept by cloudtune, is not in the form that it should have."""


def settings_folder() -> Path:
    """``~/.cloudtune``, or what ``$CLOUDTUNE_SETTINGS`` names."""
    given = os.environ.get(ENV_SETTINGS)
    # Unlike Path.home() this does not fail where there is no home: then there are no files of the user's either.
    return Path(os.path.expanduser(given or "~/.cloudtune"))


def own_file(variable: str, name: str) -> Path | None:
    """The file that an environment variable names, or the one of that name in the settings folder, if it is there.

    Raises:
        BadFile: The variable names a file that is not there.
    """
    given = os.environ.get(variable)
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise BadFile(f"{variable} names {path}, where there is no file; create it or unset {variable}")
        return path
    path = settings_folder() / name
    return path if path.is_file() else None


def read_regions(path: Path, member: str, what: str) -> Mapping[str, Mapping[str, float]]:
    """Numbers by region and name, from ``{member: {region: {name: number}}}``. The region ``*`` stands for all.

    The file is read again when it has changed, not at each call.

    Args:
        path: Of the file.
        member: That holds the numbers.
        what: What the numbers are, for the message.

    Raises:
        BadFile: It has another form; the message says which is wanted.
    """
    document = read_object(path)
    regions = document.get(member)
    is_table = isinstance(regions, dict) and all(
        isinstance(entries, dict) and all(_is_amount(value) for value in entries.values())
        for entries in regions.values()
    )
    if not isinstance(regions, dict) or not is_table:
        raise BadFile(
            f'{path} is to have {what} as {{"{member}": {{"us-east-1": {{"name": 1.5}}}}}} with numbers that are not '
            "negative; correct it or remove it"
        )
    return regions


def read_object(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file, read again when it has changed.

    Raises:
        BadFile: It cannot be read, or is no JSON object.
    """
    try:
        state = path.stat()
        seen = _READ.get(path)
        if seen is not None and seen[0] == (state.st_mtime_ns, state.st_size, state.st_ino):
            return seen[1]
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"{path} cannot be read ({error.strerror}); correct that or remove it") from error
    except ValueError as error:
        raise BadFile(f"{path} is not JSON ({error}); correct it or remove it") from error
    if not isinstance(document, dict):
        raise BadFile(f"{path} is to be a JSON object; correct it or remove it")
    _READ[path] = ((state.st_mtime_ns, state.st_size, state.st_ino), document)
    return document


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


#: Path -> state of the file when it was read, and what was in it. Assignments are atomic: no lock is needed.
_READ: dict[Path, tuple[tuple[int, int, int], Mapping[str, Any]]] = {}
