"""Domains of numbers: real numbers, integers, and a finite number of steps in a range.

Numbers are encoded linearly, by log x, or by -log(1 - x). An integer has a cell of the range [lower - 0.5, upper + 0.5]
of its own, so that the end values are as likely as the others, and rounding is the way back from any point of the cell
(Garrido-Merchán and Hernández-Lobato 2020, Neurocomputing 380, section 3).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.config_domains import ABSENT, ConfigSpaceError, Domain, is_number, plain, shown, unit_numbers

#: Integers above this cannot all be told apart once they are floating-point numbers.
LARGEST_INTEGER = 2**53

_FLOATS = {"linear": "uniform", "log": "loguniform", "reverselog": "reverseloguniform"}
_INTEGERS = {"linear": "randint", "log": "lograndint"}
_RANGES = {"linear": "finrange", "log": "logfinrange"}


def _name(names: dict[str, str], scale: str) -> str:
    if scale not in names:
        raise ConfigSpaceError(f"{shown(scale)} is not a scale of this domain; use one of {', '.join(names)}")
    return names[scale]


def _number(call: str, what: str, value: Any) -> float:
    value = plain(value)
    if not is_number(value):
        remedy = "write it without quotes" if isinstance(value, str) else "write a plain number"
        raise ConfigSpaceError(f"{call}: the {what} must be a number, not {type(value).__name__}; {remedy}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigSpaceError(f"{call}: the {what} must be finite; use a large number instead")
    return number


def _integer(call: str, what: str, value: Any, remedy: str) -> int:
    number = _number(call, what, value)
    if not number.is_integer():
        raise ConfigSpaceError(f"{call}: the {what} must be an integer; {remedy}")
    if abs(number) > LARGEST_INTEGER:
        raise ConfigSpaceError(f"{call}: the {what} must not be beyond 2**53 in size; use a smaller number")
    return int(plain(value))


def _check_bounds(call: str, lower: float, upper: float, linear_name: str | None, one_value: bool = False) -> None:
    """``linear_name``: for a logarithmic scale, the domain that has no such trouble with zero."""
    if lower > upper:
        raise ConfigSpaceError(f"{call}: the range is empty, the lower bound is above the upper one; swap the bounds")
    if lower == upper and not one_value:
        raise ConfigSpaceError(f"{call}: the range has one value only; write the plain value in place of the domain")
    if linear_name is not None and lower <= 0:
        raise ConfigSpaceError(f"{call}: the lower bound must be above 0; use {linear_name}, or a small positive bound")


def _check_width(call: str, width: float) -> None:
    if not 0 < width < math.inf:
        size = "narrow" if width <= 0 else "wide"
        raise ConfigSpaceError(f"{call}: the range is too {size} for floating-point numbers; use other bounds")


@dataclass(frozen=True, slots=True)
class Float(Domain):
    """Real numbers in [lower, upper], uniform in a scale: ``linear``, ``log``, or ``reverselog`` (-log(1 - x))."""

    lower: float
    upper: float
    scale: str = "linear"
    _low: float = field(init=False, repr=False, compare=False)
    _high: float = field(init=False, repr=False, compare=False)
    _width: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        call = f"{_name(_FLOATS, self.scale)}({shown(self.lower)}, {shown(self.upper)})"
        lower = _number(call, "lower bound", self.lower)
        upper = _number(call, "upper bound", self.upper)
        _check_bounds(call, lower, upper, "uniform" if self.scale == "log" else None)
        if self.scale == "reverselog" and (lower < 0 or upper >= 1):
            which = "lower bound must be 0 or more" if lower < 0 else "upper bound must be below 1"
            raise ConfigSpaceError(f"{call}: the {which}; use uniform, or bounds with 0 <= lower < upper < 1")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "_low", self._scaled(lower))
        object.__setattr__(self, "_high", self._scaled(upper))
        object.__setattr__(self, "_width", self._high - self._low)
        _check_width(call, self._width)

    def __str__(self) -> str:
        return f"{_FLOATS[self.scale]}({self.lower!r}, {self.upper!r})"

    def _scaled(self, value: float) -> float:
        if self.scale == "linear":
            return value
        return math.log(value) if self.scale == "log" else -math.log1p(-value)

    def from_uniform(self, u: float) -> float:
        x = self._low + u * self._width
        if self.scale == "log":
            x = math.exp(x if x < self._high else self._high)
        elif self.scale == "reverselog":
            x = -math.expm1(-x)
        if x < self.lower:
            return self.lower
        return self.upper if x > self.upper else x

    def to_unit(self, value: Any) -> list[float]:
        return unit_numbers([(self._scaled(self.cast(value)) - self._low) / self._width])

    def from_unit(self, encoded: Sequence[float]) -> float:
        return self.from_uniform(unit_numbers(encoded)[0])

    def default(self) -> float:
        if self.scale == "log":
            return min(self.upper, max(self.lower, math.sqrt(self.lower) * math.sqrt(self.upper)))
        return min(self.upper, max(self.lower, self.lower + 0.5 * (self.upper - self.lower)))

    def to_json(self) -> dict[str, Any]:
        return {"type": _FLOATS[self.scale], "lower": self.lower, "upper": self.upper}

    def _find(self, value: Any) -> Any:
        value = plain(value)
        return float(value) if is_number(value) and self.lower <= value <= self.upper else ABSENT

    def _remedy(self) -> str:
        return f"use a number between {self.lower!r} and {self.upper!r}"


@dataclass(frozen=True, slots=True)
class Integer(Domain):
    """Integers from lower to upper, both included, uniform in the given scale: ``linear`` or ``log``.

    Encodings are exact below 2**45; beyond, neighbours may fall together.
    """

    lower: int
    upper: int
    scale: str = "linear"
    _count: int = field(init=False, repr=False, compare=False)
    _low: float = field(init=False, repr=False, compare=False)
    _width: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        call = f"{_name(_INTEGERS, self.scale)}({shown(self.lower)}, {shown(self.upper)})"
        lower = _integer(call, "lower bound", self.lower, "use uniform or loguniform for real numbers")
        upper = _integer(call, "upper bound", self.upper, "use uniform or loguniform for real numbers")
        log = self.scale == "log"
        _check_bounds(call, lower, upper, "randint" if log else None, one_value=True)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "_count", upper - lower + 1)
        object.__setattr__(self, "_low", math.log(lower - 0.5) if log else 0.0)
        object.__setattr__(self, "_width", math.log(upper + 0.5) - self._low if log else float(self._count))
        _check_width(call, self._width)

    def __str__(self) -> str:
        return f"{_INTEGERS[self.scale]}({self.lower}, {self.upper})"

    def from_uniform(self, u: float) -> int:
        if self.scale == "linear":
            x = self.lower + int(u * self._count)
        else:
            x = int(math.exp(self._low + u * self._width) + 0.5)
            if x < self.lower:
                return self.lower
        return self.upper if x > self.upper else x

    def to_unit(self, value: Any) -> list[float]:
        x = self.cast(value)
        if self.scale == "linear":
            return unit_numbers([(x - self.lower + 0.5) / self._width])
        return unit_numbers([(math.log(x) - self._low) / self._width])

    def from_unit(self, encoded: Sequence[float]) -> int:
        return self.from_uniform(unit_numbers(encoded)[0])

    def size(self) -> int:
        return self._count

    def default(self) -> int:
        if self.scale == "linear":
            return (self.lower + self.upper) // 2
        return min(self.upper, max(self.lower, round(math.sqrt(self.lower) * math.sqrt(self.upper))))

    def to_json(self) -> dict[str, Any]:
        return {"type": _INTEGERS[self.scale], "lower": self.lower, "upper": self.upper}

    def _find(self, value: Any) -> Any:
        value = plain(value)
        if not is_number(value) or not self.lower <= value <= self.upper:
            return ABSENT
        return int(value) if value == int(value) else ABSENT

    def _remedy(self) -> str:
        return f"use an integer between {self.lower} and {self.upper}"


@dataclass(frozen=True, slots=True)
class FiniteRange(Domain):
    """``count`` equally likely numbers from lower to upper, equally spaced in the given scale: ``linear`` or ``log``.

    They are rounded to integers if ``cast_int``. ``values`` holds them, in order.
    """

    lower: float
    upper: float
    count: int
    cast_int: bool = False
    scale: str = "linear"
    values: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        call = f"{_name(_RANGES, self.scale)}({shown(self.lower)}, {shown(self.upper)}, {shown(self.count)})"
        lower = _number(call, "lower bound", self.lower)
        upper = _number(call, "upper bound", self.upper)
        count = _integer(call, "size", self.count, "it says how many values there are")
        if count < 2:
            raise ConfigSpaceError(f"{call}: the size must be at least 2; write a plain value in place of the domain")
        log = self.scale == "log"
        _check_bounds(call, lower, upper, "finrange" if log else None)
        _check_width(call, upper - lower)
        if not isinstance(self.cast_int, bool):
            raise ConfigSpaceError(f"{call}: cast_int must be True or False, not {shown(self.cast_int)}")
        if self.cast_int and not (lower.is_integer() and upper.is_integer()):
            raise ConfigSpaceError(f"{call}: with cast_int the bounds must be integers; round them")
        low, high = (math.log(lower), math.log(upper)) if log else (lower, upper)
        inner = [low + (high - low) * (i / (count - 1)) for i in range(1, count - 1)]
        values = [lower, *([math.exp(x) for x in inner] if log else inner), upper]
        if self.cast_int:
            values = [round(value) for value in values]
        if any(a >= b for a, b in itertools.pairwise(values)):
            after = "after rounding to integers " if self.cast_int else ""
            raise ConfigSpaceError(f"{call}: {after}some values are equal; use a smaller size or a wider range")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "values", tuple(values))

    def __str__(self) -> str:
        cast_int = ", cast_int=True" if self.cast_int else ""
        return f"{_RANGES[self.scale]}({self.lower!r}, {self.upper!r}, {self.count}{cast_int})"

    def from_uniform(self, u: float) -> float:
        index = int(u * self.count)
        return self.values[index if index < self.count else -1]

    def _nearest(self, value: float) -> int:
        right = min(max(bisect_right(self.values, value), 1), self.count - 1)
        return right if self.values[right] - value < value - self.values[right - 1] else right - 1

    def to_unit(self, value: Any) -> list[float]:
        return [(self._nearest(self.cast(value)) + 0.5) / self.count]

    def from_unit(self, encoded: Sequence[float]) -> float:
        return self.from_uniform(unit_numbers(encoded)[0])

    def size(self) -> int:
        return self.count

    def default(self) -> float:
        log = self.scale == "log"
        middle = math.sqrt(self.lower) * math.sqrt(self.upper) if log else self.lower + 0.5 * (self.upper - self.lower)
        return self.values[self._nearest(middle)]

    def to_json(self) -> dict[str, Any]:
        bounds = {"type": _RANGES[self.scale], "lower": self.lower, "upper": self.upper}
        return {**bounds, "size": self.count, "cast_int": self.cast_int}

    def _find(self, value: Any) -> Any:
        value = plain(value)
        gap = (self.upper - self.lower) / (self.count - 1)
        if not is_number(value) or not self.lower - gap <= value <= self.upper + gap:
            return ABSENT
        nearest = self.values[self._nearest(value)]
        # 0.3 is meant where the arithmetic of the range gives 0.30000000000000004.
        near_zero = 0.0 if self.scale == "log" else 1e-12 * gap
        is_meant = not self.cast_int and math.isclose(value, nearest, rel_tol=1e-12, abs_tol=near_zero)
        return nearest if value == nearest or is_meant else ABSENT

    def _remedy(self) -> str:
        first = ", ".join(repr(value) for value in self.values[:5])
        return f"use one of {first}{', ...' if self.count > 5 else ''}"
