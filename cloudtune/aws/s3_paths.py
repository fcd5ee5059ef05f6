"""Where a downloaded file may be written: names of objects are anybody's, and none may lead out of a folder."""

from __future__ import annotations

import os
from pathlib import PurePosixPath, PureWindowsPath

from cloudtune.aws.errors import InvalidRequest


def path_inside(folder: str | os.PathLike[str], relative: str) -> str:
    """The path of a file below a folder.

    Args:
        folder: Need not exist; may itself be reached through links.
        relative: With slashes, whatever the system.

    Raises:
        InvalidRequest: The path is absolute, has empty parts, ``.`` or ``..``, or a part of it is a link.
    """
    parts = relative.split("/")
    if (
        not all(part not in ("", ".", "..") and "\0" not in part for part in parts)
        or PurePosixPath(relative).is_absolute()
        or (os.name == "nt" and (PureWindowsPath(relative).drive or "\\" in relative or ":" in relative))
    ):
        raise InvalidRequest(
            f"An object is to be written to {relative!r}, which is no plain path below {os.fspath(folder)}; rename or "
            "delete the object."
        )
    path = os.fspath(folder)
    for part in parts:
        path = os.path.join(path, part)
        if os.path.islink(path):
            raise InvalidRequest(
                f"An object is to be written to {relative!r}, but {path} is a link; remove it or choose another folder."
            )
    return path
