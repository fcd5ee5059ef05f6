"""Entries as JSON text."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from cloudtune.store.entries import REPORT


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

_NUMBERS = frozenset({float, int})
_REPORT_KEYS = ("event", "trial", "attempt", "run", "number", "time", "decision", "status", "metrics")

#: For the keys of a report's metrics, what its values are put into; as many as no sensible experiment has.
_forms: dict[tuple[Any, ...], str] = {}
_MOST_FORMS = 100


#: The time of a report as text, and the values of its metrics, each behind a comma.
Cells = tuple[str, str]


def encode_lines(entries: Sequence[dict[str, Any]]) -> tuple[bytes, list[Cells | None]]:
    """Entries as lines, each with its newline, as :func:`encode` writes them, in a fraction of the time.

    Returns:
        The lines; and for each entry that is a report of finite numbers alone, with nothing special about it, these
        numbers as they stand there: a table of results shows them in the same way, and to spell them is dear.

    Raises:
        TypeError: As :func:`encode`.
    """
    lines = []
    cells: list[Cells | None] = []
    for entry in entries:
        if entry["event"] == REPORT and tuple(entry) == _REPORT_KEYS:
            _, trial, attempt, run, number, time, decision, status, metrics = entry.values()
            # Not NaN and the like, which Python writes in another way than JSON, nor True.
            if (
                type(time) is float
                and abs(time) < math.inf
                and type(trial) is type(attempt) is type(run) is type(number) is int
                and _NUMBERS.issuperset(map(type, metrics.values()))
            ):
                values = [*map(repr, metrics.values())]
                shown = ",".join(("", *values))
                # Of numbers only "nan" and "inf" are spelt with this letter.
                if "n" not in shown:
                    keys = tuple(metrics)
                    form = _forms.get(keys) or _form(keys)
                    when = repr(time)
                    lines.append(
                        f'{{"event":"report","trial":{trial},"attempt":{attempt},"run":{run},"number":{number},'
                        f'"time":{when},"decision":"{decision}","status":"{status}",'
                        f'"metrics":{form % tuple(values)}}}\n'
                    )
                    cells.append((when, shown))
                    continue
        lines.append(_object(entry, _nested) + "\n")
        cells.append(None)
    return "".join(lines).encode(), cells


def _form(keys: tuple[Any, ...]) -> str:
    """A JSON object of these keys, with ``%s`` for each value."""
    pairs = [encode({key: 0})[1:-2].replace("%", "%%") + "%s" for key in keys]
    form = f"{{{','.join(pairs)}}}"
    # True is the same key as 1, but is not written like it.
    if len(_forms) < _MOST_FORMS and {str}.issuperset(map(type, keys)):
        _forms[keys] = form
    return form


def _object(values: Mapping[Any, Any], other: Callable[[Any], str]) -> str:
    """A dictionary as :func:`encode` writes it: most hold a few plain values, for which an encoder is long in coming.

    Args:
        values: The dictionary.
        other: Writes values that are not plain.
    """
    texts = []
    for value in values.values():
        kind = type(value)
        if kind is str:
            texts.append(_quoted(value))
        # Infinite less infinite is NaN; only what is finite less itself is 0.
        elif kind is int or (kind is float and value - value == 0):
            texts.append(repr(value))
        elif value is None:
            texts.append("null")
        else:
            texts.append(other(value))
    keys = tuple(values)
    return (_forms.get(keys) or _form(keys)) % tuple(texts)


def _nested(value: Any) -> str:
    return _object(value, encode) if type(value) is dict else encode(value)
