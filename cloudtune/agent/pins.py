"""Whether what a requirements file names is installed already, told without starting pip, which takes a second or more.

Standard library only, and Python 3.8 syntax.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

#: A line that names one exact version and nothing else; a comment may follow.
_PIN = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([A-Za-z0-9][A-Za-z0-9.+!_-]*)\s*(#.*)?")
_NOTHING = re.compile(r"\s*(#.*)?")


def are_installed(lines: list[str]) -> bool:
    """Whether each line names an exact version that is installed. Of any other line pip has to judge: False.

    Args:
        lines: Of a requirements file.
    """
    for line in lines:
        if _NOTHING.fullmatch(line):
            continue
        pin = _PIN.fullmatch(line)
        if pin is None or _version(pin[1]) != pin[2]:
            return False
    return True


def _version(name: str) -> str:
    try:
        return version(name) or ""
    except PackageNotFoundError:
        return ""
