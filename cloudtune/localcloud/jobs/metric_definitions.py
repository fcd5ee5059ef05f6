"""Metric definitions: regular expressions over the log whose last matches become FinalMetricDataList.

Python's ``re`` cannot be interrupted, and holds up the whole process. So it sees only the first ``MAX_LINE`` characters
of a line, and an expression is not used whose time may grow exponentially: one that repeats a repetition or a choice.
Others may still grow with a high power of the line's length (``.*.*.*=``): where that may matter, the expression is
tried on the first few characters, then on twice as many, and given up for good when the next step may take longer than
``MAX_SECONDS``. The log of the cloud says so.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.localcloud.java_regex import compile_java

if sys.version_info >= (3, 11):
    from re import _constants as sre_constants  # type: ignore[attr-defined]
    from re import _parser as sre_parse  # type: ignore[attr-defined]
else:
    import sre_constants
    import sre_parse

_log = logging.getLogger(__name__)

#: Characters of a line that are searched.
MAX_LINE = 1024
#: Seconds of the processor that an expression may take for a line.
MAX_SECONDS = 0.25
#: Steps that take no time worth measuring.
_FEW_STEPS = 1e6
_NO_TIME = 1e-5
#: An expression with more repetitions is not used.
_MOST_REPETITIONS = 30
#: So many ways to repeat inside of a repetition are too many.
_TOO_MANY_WAYS = 64
_REPETITIONS = (sre_constants.MAX_REPEAT, sre_constants.MIN_REPEAT)


@dataclass
class _Expression:
    pattern: re.Pattern[str]
    #: How many repetitions it has: its time grows at most with the next higher power of the line's length.
    repetitions: int


class MetricDefinitions:
    """The metric definitions of a job.

    Args:
        definitions: Of the request's AlgorithmSpecification.
        record: Told every value: name, value, cloud time.
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]], record: Callable[[str, float, float], None]) -> None:
        self._record = record
        self._expressions: dict[str, _Expression] = {}
        for definition in definitions:
            name = definition["Name"]
            text = _for_python(definition["Regex"])
            try:
                parsed = sre_parse.parse(text)
                repetitions = _repetitions(parsed)
                if _may_explode(parsed, 1) or repetitions > _MOST_REPETITIONS:
                    _log.warning("Metric %r is not read: the time that %r takes may grow without bound.", name, text)
                    continue
                self._expressions[name] = _Expression(re.compile(text), repetitions)
            except (re.error, RecursionError, OverflowError) as error:
                _log.warning("Metric %r is not read: %r is no regular expression: %s", name, text, error)

    def search(self, lines: Iterable[str], now: float) -> None:
        """Looks for values in lines that were written at cloud time ``now``."""
        if not self._expressions:
            return
        for line in lines:
            line = line[:MAX_LINE]
            for name, expression in list(self._expressions.items()):
                if not _is_quick(expression, line):
                    _log.warning("Metric %r is no longer read: %r takes too long.", name, expression.pattern.pattern)
                    del self._expressions[name]
                    continue
                values = [_value(match) for match in expression.pattern.finditer(line)]
                for value in values[::-1]:
                    if value is not None:
                        self._record(name, value, now)
                        break


def _for_python(text: str) -> str:
    """What Java alone can read, as Python writes it: AWS takes both, and does not say which it uses."""
    try:
        re.compile(text)
    except re.error:
        try:
            return compile_java(text).pattern
        except ValueError:  # the caller says what is wrong with it
            return text
    return text


def _is_quick(expression: _Expression, line: str) -> bool:
    power = expression.repetitions + 1
    if len(line) ** power / math.factorial(power) < _FEW_STEPS:
        return True
    length, before = 8, 0.0
    while length < len(line):
        began = time.thread_time()
        for _ in expression.pattern.finditer(line[:length]):
            pass
        took = time.thread_time() - began
        # Twice as many characters take at most so many times as long; and hardly twice what the last step took more.
        growth = min(2.0**power, max(4.0, 2 * took / max(before, _NO_TIME)))
        if took * growth > MAX_SECONDS:
            return False
        length, before = 2 * length, took
    return True


def _value(match: re.Match[str]) -> float | None:
    """AWS reads the first group."""
    try:
        return float(match[1])
    except (IndexError, ValueError, TypeError):
        return None


def _repetitions(parsed: Any) -> int:
    """How many repetitions without a fixed number an expression has."""
    own: int = sum(operation in _REPETITIONS and argument[0] != argument[1] for operation, argument in parsed)
    return own + sum(_repetitions(below) for _, argument in parsed for below in _patterns_in(argument))


def _may_explode(parsed: Any, outer: int) -> bool:
    """Whether something that can be matched in several ways is repeated, ``outer`` times from outside."""
    for operation, argument in parsed:
        ways, inside = 1, outer
        if operation in _REPETITIONS:
            ways = argument[1] - argument[0] + 1
            inside = outer * argument[1]
        elif operation is sre_constants.BRANCH:
            ways = len(argument[1])
        if outer > 1 and ways > 1 and outer * ways >= _TOO_MANY_WAYS:
            return True
        if any(_may_explode(below, inside) for below in _patterns_in(argument)):
            return True
    return False


def _patterns_in(argument: Any) -> list[Any]:
    if isinstance(argument, sre_parse.SubPattern):
        return [argument]
    if isinstance(argument, (tuple, list)):
        return [below for entry in argument for below in _patterns_in(entry)]
    return []
