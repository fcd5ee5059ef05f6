"""Checks on a whole config space: names that a command line can carry, and values that are domains or JSON values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudtune.config_constructors import CONSTRUCTORS
from cloudtune.config_domains import ConfigSpaceError, Domain, is_json_value, plain, plain_value, shown
from cloudtune.constants import RESERVED_PREFIX, ST_INSTANCE_COUNT, ST_INSTANCE_TYPE

_NAME = re.compile(r"[^\s=\-][^\s=]*")


def validate_config_space(space: Mapping[str, Any]) -> None:
    """Raises :class:`ConfigSpaceError`, naming the parameter, unless ``space`` can be searched.

    Names must be fit for a command line (``--name value``); values must be domains, or constants that JSON carries once
    :func:`plain_config_space` has been applied.
    """
    if not isinstance(space, Mapping):
        raise ConfigSpaceError(
            f"config space: it is of type {type(space).__name__}; use a dictionary of names to domains and constants"
        )
    for name, value in space.items():
        _check_name(name)
        if not isinstance(value, Domain) and not is_json_value(plain_value(value)):
            raise ConfigSpaceError(_not_a_value(name, plain(value)))


def plain_config_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``space`` whose constants are what JSON makes of them: numpy scalars plain numbers, tuples lists."""
    return {name: value if isinstance(value, Domain) else plain_value(value) for name, value in space.items()}


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigSpaceError(f"config space: the parameter name {shown(name)} must be a non-empty string; rename it")
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise ConfigSpaceError(
            f"config space: the parameter name {shown(name)} cannot be a command-line argument; rename it, "
            "without spaces and '=', and not beginning with '-'"
        )
    if name.startswith(RESERVED_PREFIX) and name not in (ST_INSTANCE_TYPE, ST_INSTANCE_COUNT):
        raise ConfigSpaceError(
            f"config space: the parameter name {shown(name)} begins with {RESERVED_PREFIX!r}, which is reserved for "
            "cloudtune; rename it"
        )


def _not_a_value(name: str, value: Any) -> str:
    if type(value) is float:
        return f"config space: parameter {name!r} is {value!r}, which is not finite; use a finite number or a string"
    if isinstance(value, (list, tuple, dict)):
        return (
            f"config space: parameter {name!r} is {shown(value)}, which holds something that JSON cannot carry; use "
            "finite numbers, strings, booleans, None, and lists and dictionaries (with string keys) of them"
        )
    return (
        f"config space: parameter {name!r} has type {type(value)!r}, which is neither a domain nor a JSON value; "
        f"use one of {', '.join(CONSTRUCTORS)}, or a plain number, string, list or dict"
    )
