"""Metric definitions: regular expressions over the log whose last matches become FinalMetricDataList.

Python's ``re`` cannot be interrupted, and holds up the whole process. So it sees only the first ``MAX_LINE`` characters
of a line; an expression in which a repetition repeats another, whose time may grow exponentially, is not used; and one
that has taken ``MAX_SECONDS`` in a single line is not used again. The job's log on the cloud's side says so.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as sre_constants  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
else:
    import sre_constants
    import sre_parse

_log = logging.getLogger(__name__)

#: Characters of a line that are searched.
MAX_LINE = 1024
#: Real seconds that an expression may take for a line.
MAX_SECONDS = 0.25
#: A repetition that may go on so many times counts as endless.
_ENDLESS = 16
_REPETITIONS = (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT)


class MetricDefinitions:
    """The metric definitions of a job.

    Args:
        definitions: Of the request's AlgorithmSpecification.
        record: Told every value: name, value, cloud time.
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]], record: Callable[[str, float, float], None]) -> None:
        self._record = record
        self._expressions: dict[str, re.Pattern[str]] = {}
        for definition in definitions:
            name, text = definition["Name"], definition["Regex"]
            try:
                if _may_explode(sre_parse.parse(text)):
                    _log.warning("Metric %r is not read: %r repeats a repetition, which may take for ever.", name, text)
                    continue
                self._expressions[name] = re.compile(text)
            except (re.error, RecursionError, OverflowError) as error:
                _log.warning("Metric %r is not read: %r is no regular expression: %s", name, text, error)

    def search(self, lines: Iterable[str], now: float) -> None:
        """Looks for values in lines that were written at cloud time ``now``."""
        if not self._expressions:
            return
        for line in lines:
            for name, expression in list(self._expressions.items()):
                began = time.perf_counter()
                values = [_value(match) for match in expression.finditer(line[:MAX_LINE])]
                for value in values[::-1]:
                    if value is not None:
                        self._record(name, value, now)
                        break
                if time.perf_counter() - began > MAX_SECONDS:
                    _log.warning("Metric %r is no longer read: %r takes too long.", name, expression.pattern)
                    del self._expressions[name]


def _value(match: re.Match[str]) -> float | None:
    """AWS reads the first group."""
    try:
        return float(match[1])
    except (IndexError, ValueError, TypeError):
        return None


def _may_explode(parsed: Any, repeated: bool = False) -> bool:
    """Whether a repetition that may go on for long stands inside of another."""
    for operation, argument in parsed:
        inside = repeated
        if operation in _REPETITIONS and argument[1] >= _ENDLESS:
            if repeated:
                return True
            inside = True
        if any(_may_explode(below, inside) for below in _patterns_in(argument)):
            return True
    return False


def _patterns_in(argument: Any) -> list[Any]:
    if isinstance(argument, sre_parse.SubPattern):
        return [argument]
    if isinstance(argument, (tuple, list)):
        return [below for entry in argument for below in _patterns_in(entry)]
    return []
