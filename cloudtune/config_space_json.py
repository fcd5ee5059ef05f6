"""Config spaces as JSON, for the log of an experiment and for files written by hand.

A domain is ``{"type": "loguniform", "lower": 0.0001, "upper": 1.0}``; a constant is itself, except that a dictionary is
``{"type": "constant", "value": {...}}``. In a file, ``"loguniform(1e-4, 1)"`` says the same as the dictionary. Nothing
in a file is ever executed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.config_constructors import CONSTRUCTORS
from cloudtune.config_domains import ConfigSpaceError, Domain, shown
from cloudtune.config_validation import plain_config_space, validate_config_space

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(.*\)\s*", re.DOTALL)


def domain_from_json(form: Mapping[str, Any]) -> Domain:
    """The domain that :meth:`Domain.to_json` wrote.

    Raises :class:`ConfigSpaceError` for an unknown type or wrong arguments.
    """
    arguments = dict(form)
    name = arguments.pop("type", None)
    return _construct(name, (), arguments)


def config_space_to_json(space: Mapping[str, Any]) -> dict[str, Any]:
    """``space`` as a dictionary of JSON values, in its order; :func:`config_space_from_json` undoes it."""
    validate_config_space(space)
    return {name: _to_json(value) for name, value in plain_config_space(space).items()}


def _to_json(value: Any) -> Any:
    if isinstance(value, Domain):
        return value.to_json()
    # A string that reads like a domain would become one in a file.
    if isinstance(value, dict) or (isinstance(value, str) and _CALL.fullmatch(value)):
        return {"type": "constant", "value": value}
    return value


def config_space_from_json(form: Mapping[str, Any]) -> dict[str, Any]:
    """The config space that :func:`config_space_to_json` wrote.

    Raises :class:`ConfigSpaceError`, naming the parameter, if it is none.
    """
    if not isinstance(form, Mapping):
        raise ConfigSpaceError(f"config space: it must be a JSON object of parameter names, not {type(form).__name__}")
    space = {name: _from_json(name, value) for name, value in form.items()}
    validate_config_space(space)
    return space


def _from_json(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "type" not in value:
        raise ConfigSpaceError(
            f'config space: parameter {name!r} is a dictionary without "type"; write {{"type": "uniform", "lower": 0, '
            '"upper": 1}, or {"type": "constant", "value": {...}} for a constant dictionary'
        )
    if value["type"] == "constant":
        if set(value) != {"type", "value"}:
            raise ConfigSpaceError(f'config space: the constant {name!r} must have exactly the keys "type" and "value"')
        return value["value"]
    try:
        return domain_from_json(value)
    except ConfigSpaceError as error:
        raise ConfigSpaceError(f"config space: parameter {name!r}: {error}") from error


def config_space_from_file(path: str | Path) -> dict[str, Any]:
    """Reads a config space from a JSON file, with domains as dictionaries or as strings like ``"loguniform(1e-4, 1)"``.

    Raises :class:`ConfigSpaceError`, naming the file and the parameter; ``FileNotFoundError`` if there is no such file.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        form = json.loads(text, object_pairs_hook=_without_repeats)
        if isinstance(form, dict):
            form = {name: _from_concise(name, value) for name, value in form.items()}
        return config_space_from_json(form)
    except json.JSONDecodeError as error:
        raise ConfigSpaceError(f"{path}: line {error.lineno} is not JSON ({error.msg}); correct the file") from error
    except ConfigSpaceError as error:
        raise ConfigSpaceError(f"{path}: {error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigSpaceError(f"config space: {twice!r} stands there twice; keep one of the two")
    return result


def _from_concise(name: str, value: Any) -> Any:
    match = _CALL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    try:
        return parse_domain(value).to_json()
    except ConfigSpaceError as error:
        raise ConfigSpaceError(
            f"config space: parameter {name!r}: {error}; for a constant string write "
            '{"type": "constant", "value": "..."}'
        ) from error


def parse_domain(text: str) -> Domain:
    """The domain that ``text`` spells, such as ``"choice(['relu', 'tanh'])"``: a constructor with literal arguments.

    Raises :class:`ConfigSpaceError` for anything else; nothing is evaluated.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ConfigSpaceError(f"{shown(text)} is not a domain; write one like loguniform(1e-4, 1)")
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        if isinstance(error, ConfigSpaceError):
            raise
        raise ConfigSpaceError(
            f"{shown(text)} is not a domain with plain values; write one like loguniform(1e-4, 1)"
        ) from error
    return _construct(call.func.id, positional, named)


def _construct(name: Any, positional: Any, named: dict[str, Any]) -> Domain:
    constructor = CONSTRUCTORS.get(name) if isinstance(name, str) else None
    if constructor is None:
        raise ConfigSpaceError(f"the domain type {shown(name)} is not known; use one of {', '.join(CONSTRUCTORS)}")
    try:
        return constructor(*positional, **named)
    except TypeError as error:
        problem = str(error).partition("() ")[2] or str(error)
        raise ConfigSpaceError(f"the arguments of {name} are wrong: it {problem}") from error
