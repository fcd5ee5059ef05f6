"""What users give, checked before it is rounded, compared or passed on."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np


def is_comparable(value: Any) -> bool:
    """Whether a value is above, below or equal to any number; numpy's can be, texts, NaN and True cannot."""
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def whole_number(name: str, value: Any, least: int, remedy: str) -> int:
    """The value as an integer of at least ``least``.

    Args:
        name: Of the argument, for the message.
        value: What was given.
        least: From where on it may be.
        remedy: What the number means, or which one is usual, for the message.

    Raises:
        ValueError: It is none, and no number is rounded to one.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer, got {value!r}; {remedy}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}; {remedy}")
    return int(value)


def switch(name: str, value: Any) -> bool:
    """A value that is on or off; numpy's may be.

    Args:
        name: Of the argument, for the message.
        value: What was given.

    Raises:
        ValueError: It is something else: ``"no"`` would count as on.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_key_of_report(name: str, value: Any, remedy: str) -> None:
    """Returns if a value can be the key of something that a script reports.

    Args:
        name: Of the argument, for the message.
        value: What was given.
        remedy: What to give, for the message.

    Raises:
        ValueError: It is no text, or an empty one.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be the name of what the script reports, got {value!r}; {remedy}")
