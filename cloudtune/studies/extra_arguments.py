"""Arguments of one's own: flags that a user's methods take beside those of every study."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ExtraArgument:
    """One more flag of the commands that launch studies.

    Its value reaches the constructor of each cell's method and the metadata of its experiment.

    Args:
        name: Of the flag, and of the constructor's argument, such as ``brackets``.
        type: ``int``, ``float``, ``str`` or ``bool``.
        default: Without it, and where the flag is not given, methods decide.
        help: What it does, for ``--help``.

    Raises:
        ValueError: It cannot be a flag of that name or type.
    """

    name: str
    type: type[int] | type[float] | type[str] | type[bool] = str
    default: Any = None
    help: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"an argument of one's own cannot be called {self.name!r}: use small letters, digits and underscores, "
                "as in brackets"
            )
        if self.type not in (int, float, str, bool):
            raise ValueError(f"{self.name}: type must be int, float, str or bool, got {self.type!r}")
        if self.default is not None and type(self.default) is not self.type:
            raise ValueError(f"{self.name}: the default {self.default!r} is no {self.type.__name__}")
