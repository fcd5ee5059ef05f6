"""Entries as JSON text."""

from __future__ import annotations

import json
import numbers


def plain_number(value: object) -> int | float:
    """Numbers of other libraries (numpy's, for instance) as Python's own."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(
        f"{value!r} of type {type(value).__name__} cannot be kept in the event log: use numbers, strings, lists and "
        "dicts"
    )


#: An entry as one line of ASCII, without the newline. Raises TypeError: a value is nothing that JSON has a form for.
encode = json.JSONEncoder(separators=(",", ":"), default=plain_number).encode
