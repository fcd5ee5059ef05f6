"""The filters of a Search: operators, and how text, numbers, parameters and times compare."""

from __future__ import annotations

import datetime as dt
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.services.search_property import Property

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_TEXT_ONLY = frozenset({"Contains", "In"})
Test = Callable[[Any], bool]


def filter_test(wanted: Mapping[str, Any], prop: Property) -> Test:
    """What tells whether a job, or an element of a list, passes a filter; raises AwsError for a wrong filter.

    Without an operator the value must be equal or, without a value too, must exist. Of several values one is enough.
    What has no value is not equal to anything, so it passes NotEquals.
    """
    value = wanted.get("Value")
    name = wanted.get("Operator", "Exists" if value is None else "Equals")
    if name in {"Exists", "NotExists"}:
        return lambda job: bool(prop.values(job)) == (name == "Exists")
    if value is None:
        raise validation_error(f"Operator {name} on property '{prop.name}' needs a Value.")
    passes = _one_value_test(prop, "Equals" if name == "NotEquals" else name, value)
    if name == "NotEquals":
        return lambda job: not any(map(passes, prop.values(job)))
    return lambda job: any(map(passes, prop.values(job)))


def _one_value_test(prop: Property, name: str, value: str) -> Test:
    textual = prop.kind in {"text", "parameter"}
    if not prop.kind or (name in _TEXT_ONLY and not textual) or (name in _ORDER and prop.kind in {"text", "boolean"}):
        raise validation_error(f"Operator {name} is not supported for property '{prop.name}'.")
    if name == "In":
        choices = frozenset(choice.strip() for choice in value.split(","))
        return lambda found: found in choices
    if name == "Contains":
        return lambda found: value in found
    compare: Callable[[Any, Any], bool] = _ORDER.get(name, operator.eq)
    if prop.kind == "parameter":
        return _parameter_test(prop, compare, value, ordered=name in _ORDER)
    expected = _READERS[prop.kind](prop, value)
    return lambda found: compare(found, expected)


def _parameter_test(prop: Property, compare: Callable[[Any, Any], bool], value: str, ordered: bool) -> Test:
    """As AWS documents it: a decimal value is compared as decimal, an integer with what is before the point."""
    expected = decimal(value)
    if expected is None:
        if ordered:
            raise _not_a_number(prop, value)
        return lambda found: bool(compare(found, value))
    whole = "." not in value and "e" not in value.lower()

    def test(found: str) -> bool:
        number = decimal(found)
        return number is not None and compare(math.trunc(number) if whole else number, expected)

    return test


def decimal(text: str) -> float | None:
    """The number that a text stands for; None for other text, infinities and NaN."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _number(prop: Property, value: str) -> float:
    number = decimal(value)
    if number is None:
        raise _not_a_number(prop, value)
    return number


def _not_a_number(prop: Property, value: str) -> AwsError:
    return validation_error(f"Invalid value '{value}' for property '{prop.name}': it must be a number.")


def _boolean(prop: Property, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise validation_error(f"Invalid value '{value}' for property '{prop.name}': it must be true or false.")
    return value.lower() == "true"


def _time(prop: Property, value: str) -> float:
    text = f"{value[:-1]}+00:00" if value[-1:] in {"Z", "z"} else value
    try:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)).timestamp()
    except (ValueError, OverflowError) as error:
        raise validation_error(
            f"Invalid value '{value}' for property '{prop.name}': it must be an ISO 8601 time such as "
            "2026-11-20T10:00:00."
        ) from error


_READERS: Mapping[str, Callable[[Property, str], Any]] = {
    "text": lambda _, value: value,
    "number": _number,
    "boolean": _boolean,
    "time": _time,
}
