"""Copies of values as JSON has them."""

from __future__ import annotations

from typing import Any


def json_copy(value: Any) -> Any:
    """A deep copy of dictionaries, lists and plain values: several times as quick as ``copy.deepcopy``."""
    kind = type(value)
    if kind is dict:
        return {key: json_copy(entry) for key, entry in value.items()}
    if kind is list:
        return [json_copy(entry) for entry in value]
    return value
