"""How a configuration becomes the command line of a training script."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.trial import Config


def command_line(config: Config) -> list[str]:
    """``--name value`` for each entry, in order; ``--name=value`` where the value begins with a dash.

    (argparse takes ``-1e-05`` for the name of an option.) Strings stay as they are, floats are written by ``repr``,
    booleans as ``True`` and ``False``, lists and dicts as JSON; None is left out.
    """
    arguments: list[str] = []
    for name, value in config.items():
        if value is None:
            continue
        text = _text(plain(value))
        if text.startswith("-"):
            arguments.append(f"--{name}={text}")
        else:
            arguments += (f"--{name}", text)
    return arguments


def plain(value: Any) -> Any:
    """The Python number in a numpy or torch scalar; anything else as it is."""
    if type(value) not in _PLAIN and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def config_json(value: Any) -> str:
    """A configuration, or a value in one, as JSON. What JSON does not know is written as its ``str``."""
    return json.dumps(value, default=_for_json)


def _for_json(value: Any) -> Any:
    number = plain(value)
    return str(value) if number is value else number


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, dict)):
        return config_json(value)
    return repr(value) if isinstance(value, float) else str(value)


_PLAIN = frozenset((bool, int, float, str, list, tuple, dict))
