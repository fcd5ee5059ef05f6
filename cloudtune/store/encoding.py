"""Entries as JSON text."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Sequence
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

#: How keys of reports are written, with their colon; as many as no sensible experiment has.
_keys: dict[str, str] = {}
_MOST_KEYS = 1000

_REPORT_KEYS = ("event", "trial", "attempt", "run", "number", "time", "decision", "status", "metrics")


def encode_lines(entries: Sequence[dict[str, Any]]) -> bytes:
    """Entries as lines, each with its newline, as :func:`encode` writes them. Reports, which most are, are quicker.

    Raises:
        TypeError: As :func:`encode`.
    """
    lines = []
    for entry in entries:
        if entry["event"] == REPORT and tuple(entry) == _REPORT_KEYS:
            _, trial, attempt, run, number, time, decision, status, metrics = entry.values()
            # Not NaN and the like, which Python writes in another way than JSON, nor True.
            if (
                type(time) is float
                and abs(time) < math.inf
                and type(trial) is type(attempt) is type(run) is type(number) is int
            ):
                lines.append(
                    f'{{"event":"report","trial":{trial},"attempt":{attempt},"run":{run},"number":{number},'
                    f'"time":{time!r},"decision":"{decision}","status":"{status}","metrics":{_metrics(metrics)}}}\n'
                )
                continue
        lines.append(encode(entry) + "\n")
    return "".join(lines).encode()


def _metrics(metrics: dict[str, Any]) -> str:
    """Metrics as :func:`encode` writes them: most are finite numbers, and have the same few keys again and again."""
    cells = []
    for key, value in metrics.items():
        kind = type(value)
        # Infinite less infinite is NaN; only what is finite less itself is 0.
        if (kind is not float or value - value != 0) and kind is not int:
            return encode(metrics)
        known = _keys.get(key)
        if known is None:
            if type(key) is not str:
                return encode(metrics)
            known = encode(key) + ":"
            if len(_keys) < _MOST_KEYS:
                _keys[key] = known
        cells.append(f"{known}{value!r}")
    return f"{{{','.join(cells)}}}"
