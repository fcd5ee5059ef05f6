"""Takes the user's source and the package out of the archive that brought the agent."""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import sys
import zipfile
import zlib

from cloudtune.agent.agent_errors import AgentError
from cloudtune.agent.protocol import SOURCE_FOLDER

PACKAGE = "cloudtune"


def unpack(archive: str, code: str, package: str) -> None:
    """Unpacks ``source/`` into one folder, ``cloudtune/`` into another; permission bits are kept.

    Args:
        archive: Path of the bundle.
        code: Where the source goes; what else is there stays.
        package: Where the folder ``cloudtune`` goes, so that the script's Python can import it.

    Raises:
        AgentError: It cannot be read or written, or a path in it leads out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as bundle:
            for member in bundle.infolist():
                top, _, rest = member.filename.partition("/")
                if top == SOURCE_FOLDER and rest:
                    _unpack_member(bundle, member, code, rest)
                elif top == PACKAGE and rest:
                    _unpack_member(bundle, member, os.path.join(package, PACKAGE), rest)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise AgentError(f"{archive} cannot be unpacked ({error}); start the experiment's tuner again") from error


def archive_of_this_program(fallback: str) -> str:
    """Path of the archive that Python was started with; ``fallback`` if it is no archive."""
    return sys.argv[0] if sys.argv and zipfile.is_zipfile(sys.argv[0]) else fallback


def _unpack_member(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, folder: str, path: str) -> None:
    mode = member.external_attr >> 16
    parts = path.rstrip("/").split("/")
    if posixpath.isabs(path) or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise AgentError(f"the archive holds {member.filename!r}, which leads out of its folder; it was not made by us")
    if stat.S_ISLNK(mode):
        raise AgentError(f"the archive holds the link {member.filename!r}; put the file itself into the source folder")
    target = os.path.join(folder, *parts)
    if path.endswith("/"):
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with bundle.open(member) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)
    permissions = stat.S_IMODE(mode) & 0o777
    if permissions:
        os.chmod(target, permissions | 0o600)
