"""Libraries that some methods need and that are not installed with cloudtune: looked for early, imported late."""

from __future__ import annotations

import importlib.util

from cloudtune.errors import CloudtuneError


class MissingExtra(CloudtuneError, ImportError):
    """A method needs a library that is not installed; the message holds the line to type."""


def need_extra(package: str, extra: str, what: str) -> None:
    """Checks, without importing it, that a package is there.

    Args:
        package: As it is imported (``"sklearn"``).
        extra: Name of cloudtune's extra that installs it (``"bore"``).
        what: What needs it, for the message.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        found = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise MissingExtra(f"{what} needs {package}, which is not installed: pip install 'cloudtune[{extra}]'")
