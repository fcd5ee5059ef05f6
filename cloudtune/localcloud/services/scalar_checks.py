"""Strings, numbers, booleans and times of a request: read from JSON, and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.java_regex import compile_java

if TYPE_CHECKING:
    from botocore.model import Shape


def mismatch(value: Any, wanted: str) -> AwsError:
    """AWS's error for a JSON value of the wrong type; ``wanted`` is a type of the API model."""
    if wanted in {"list", "map", "structure"}:
        return _serialization_error(f"Expected {'list' if wanted == 'list' else 'map'} or null")
    if isinstance(value, list):
        return _serialization_error("Start of list found where not expected")
    if isinstance(value, dict):
        return _serialization_error("Start of structure or map found where not expected.")
    names = {
        "string": "a String",
        "integer": "an Integer",
        "long": "a Long",
        "float": "a Float",
        "double": "a Double",
        "boolean": "a Boolean",
        "timestamp": "milliseconds since epoch",
    }
    found = "STRING" if isinstance(value, str) else str(value).upper() if isinstance(value, bool) else "NUMBER"
    return _serialization_error(f"{found}_VALUE can not be converted to {names[wanted]}")


def java_text(value: Any) -> str:
    """A value as Java prints it: that is how AWS shows it in errors."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={java_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(java_text(entry) for entry in value) + "]"
    return "null" if value is None else str(value)


class Scalar:
    """A type without parts, with the constraints of one shape.

    Args:
        read: Turns JSON's value into ours; raises AwsError SerializationException where it is of another type.
        rules: Constraint, in AWS's words -> whether a value keeps it; in AWS's order.
        unchecked: See the attribute.
    """

    def __init__(
        self, read: Callable[[Any], Any], rules: Sequence[tuple[str, Callable[[Any], bool]]] = (), unchecked: str = ""
    ) -> None:
        self.read = read
        self.constraints = [text for text, _ in rules]
        #: A pattern that Python has no means for, so that it is not checked; empty: none.
        self.unchecked = unchecked
        self._rules = tuple(rules)
        self._tests = tuple(test for _, test in rules)

    def allows(self, value: Any) -> bool:
        """Whether a value that was read keeps all constraints."""
        return all(test(value) for test in self._tests)

    def broken_by(self, value: Any) -> list[str]:
        """The constraints that a value does not keep."""
        return [text for text, test in self._rules if not test(value)]


def _string(shape: Shape) -> Scalar:
    enum = shape.metadata.get("enum")
    least, most, pattern = (shape.metadata.get(limit) for limit in ("min", "max", "pattern"))
    rules: list[tuple[str, Callable[[Any], bool]]] = []
    unchecked = ""
    if enum:
        allowed = frozenset(enum)
        rules.append((f"Member must satisfy enum value set: [{', '.join(enum)}]", allowed.__contains__))
    if most is not None:
        rules.append((f"Member must have length less than or equal to {most}", lambda value: len(value) <= most))
    if least is not None:
        rules.append((f"Member must have length greater than or equal to {least}", lambda value: len(value) >= least))
    if pattern is not None:
        try:
            matches = compile_java(pattern).fullmatch
        except ValueError:
            unchecked = pattern
        else:
            text = f"Member must satisfy regular expression pattern: {pattern}"
            rules.append((text, lambda value: matches(value) is not None))
    return Scalar(_read_string, rules, unchecked)


def _number(wanted: str) -> Callable[[Shape], Scalar]:
    read = _READERS[wanted]

    def make(shape: Shape) -> Scalar:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        rules: list[tuple[str, Callable[[Any], bool]]] = []
        if most is not None:
            rules.append((f"Member must have value less than or equal to {most}", lambda value: value <= most))
        if least is not None:
            rules.append((f"Member must have value greater than or equal to {least}", lambda value: value >= least))
        return Scalar(read, rules)

    return make


def _read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise mismatch(value, "string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise _serialization_error("Invalid UTF-8 in a String") from error
    return value


def _read_integer(wanted: str, bits: int) -> Callable[[Any], int]:
    smallest, largest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise mismatch(value, wanted)
        whole = int(value)  # as on AWS: what stands behind the point is dropped
        if not smallest <= whole <= largest:
            raise mismatch(value, wanted)
        return whole

    return read


def _read_float(wanted: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise mismatch(value, wanted)
        return float(value)

    return read


def _read_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise mismatch(value, "boolean")
    return value


def _serialization_error(message: str) -> AwsError:
    return AwsError("SerializationException", message)


_READERS: dict[str, Callable[[Any], Any]] = {
    "integer": _read_integer("integer", 32),
    "long": _read_integer("long", 64),
    "float": _read_float("float"),
    "double": _read_float("double"),
    "timestamp": _read_float("timestamp"),
    "boolean": _read_boolean,
}
#: Type of the API model -> what makes the check for a shape of it.
SCALARS: dict[str, Callable[[Shape], Scalar]] = {"string": _string, **{wanted: _number(wanted) for wanted in _READERS}}


def scalar_check(shape: Shape) -> Scalar:
    """The check for a shape of one of the types in ``SCALARS``."""
    return SCALARS[shape.type_name](shape)
