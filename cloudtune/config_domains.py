"""Domains of hyperparameters: what values there are, how likely each is, and how a value is encoded in the unit cube.

Users make them with :mod:`cloudtune.config_space` (``loguniform(1e-4, 1)``). A domain is immutable and its values are plain
Python numbers, strings and the like, never numpy scalars, so that a configuration is what its JSON says.

Two maps go from the unit interval to values. :meth:`Domain.from_uniform` is the quantile function: a number drawn uniformly
from [0, 1) gives the domain's distribution. :meth:`Domain.from_unit` undoes :meth:`Domain.to_unit`, the encoding for
model-based methods (one dimension in [0, 1], or one per category). Numbers are encoded linearly, by log x, or by
-log(1 - x); integers as if spread over [lower - 0.5, upper + 0.5], so that the end values are as likely as the others
(Garrido-Merchán and Hernández-Lobato 2020, Neurocomputing 380, section 3, for why an integer's cell is encoded, not its
point).
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    import numpy as np

#: Integers above this cannot all be told apart once they are encoded as floating-point numbers.
LARGEST_INTEGER = 2**53

_ABSENT: Any = object()


class ConfigSpaceError(CloudtuneError, ValueError):
    """A config space, or a configuration for one, is wrong; the message names the parameter or domain and the remedy."""


class Domain(ABC):
    """The values that a hyperparameter may take, with a distribution and an encoding."""

    __slots__ = ()

    @abstractmethod
    def from_uniform(self, u: float) -> Any:
        """The value at quantile ``u`` in [0, 1)."""

    @abstractmethod
    def to_unit(self, value: Any) -> list[float]:
        """``value`` encoded as ``unit_dimension`` numbers in [0, 1]. Raises :class:`ConfigSpaceError` for no value of the domain."""

    @abstractmethod
    def from_unit(self, encoded: Sequence[float]) -> Any:
        """The value nearest to ``encoded``; numbers outside [0, 1] count as 0 or 1."""

    @property
    def unit_dimension(self) -> int:
        """How many numbers :meth:`to_unit` gives."""
        return 1

    def size(self) -> int | None:
        """How many values there are, or None for infinitely many."""
        return None

    @abstractmethod
    def default(self) -> Any:
        """The value in the middle of the domain, for the first configuration that is tried."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON values; :func:`cloudtune.config_space.domain_from_json` reads it."""

    @abstractmethod
    def _find(self, value: Any) -> Any:
        """The domain's own value that equals ``value``, or ``_ABSENT``."""

    def sample(self, rng: np.random.Generator) -> Any:
        """A value drawn with ``rng``."""
        return self.from_uniform(float(rng.random()))

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one of the domain. ``"0.1"`` is no number; 3.0 is the integer 3; True is no number."""
        return self._find(value) is not _ABSENT

    def cast(self, value: Any) -> Any:
        """The domain's own value that equals ``value``: 3 for 3.0, a plain float for a numpy one.

        Raises :class:`ConfigSpaceError` if the domain has no such value.
        """
        found = self._find(value)
        if found is _ABSENT:
            raise ConfigSpaceError(f"{shown(value)} is not in {self}; {self._remedy()}")
        return found

    def _remedy(self) -> str:
        return "use a value of this domain or widen it"


def shown(value: Any) -> str:
    """``repr``, cut short for an error message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def plain(value: Any) -> Any:
    """A numpy scalar (or 0-d array) as the Python number it stands for; anything else as it is."""
    if type(value) in (int, float, str, bool, type(None)):
        return value
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value


def _number(call: str, what: str, value: Any) -> float:
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigSpaceError(
            f"{call}: the {what} must be a number, not {type(value).__name__}; write it without quotes"
        )
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


def _check_bounds(call: str, lower: float, upper: float, log: bool, may_be_equal: bool = False) -> None:
    if lower > upper:
        raise ConfigSpaceError(f"{call}: the range is empty, the lower bound is above the upper one; swap the bounds")
    if lower == upper and not may_be_equal:
        raise ConfigSpaceError(
            f"{call}: the range holds one value only; put the plain value into the config space instead"
        )
    if log and lower <= 0:
        linear = {"loguniform": "uniform", "lograndint": "randint", "logfinrange": "finrange"}[call.split("(")[0]]
        raise ConfigSpaceError(f"{call}: the lower bound must be above 0; use {linear}, or a small positive bound")


def _unit(encoded: Sequence[float]) -> float:
    u = float(encoded[0])
    if u != u:
        raise ConfigSpaceError("an encoded value is NaN; encoded values are numbers between 0 and 1")
    return 0.0 if u < 0 else min(u, 1.0)


FLOAT_NAMES = {"linear": "uniform", "log": "loguniform", "reverselog": "reverseloguniform"}
INTEGER_NAMES = {"linear": "randint", "log": "lograndint"}
FINITE_NAMES = {"linear": "finrange", "log": "logfinrange"}
ORDINAL_KINDS = ("equal", "nn", "nn-log")


def _check_scale(what: str, scale: str, names: dict[str, str]) -> None:
    if scale not in names:
        raise ConfigSpaceError(f"{what}: scale {scale!r} is not known; use one of {', '.join(names)}")


@dataclass(frozen=True, slots=True)
class Float(Domain):
    """Real numbers in [lower, upper], uniform in the given scale: ``linear``, ``log``, or ``reverselog`` (-log(1 - x))."""

    lower: float
    upper: float
    scale: str = "linear"
    _low: float = field(init=False, repr=False, compare=False)
    _high: float = field(init=False, repr=False, compare=False)
    _width: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_scale("Float", self.scale, FLOAT_NAMES)
        call = f"{FLOAT_NAMES[self.scale]}({shown(self.lower)}, {shown(self.upper)})"
        lower = _number(call, "lower bound", self.lower)
        upper = _number(call, "upper bound", self.upper)
        _check_bounds(call, lower, upper, self.scale == "log")
        if self.scale == "reverselog" and (lower < 0 or upper >= 1):
            which = "lower bound must be 0 or more" if lower < 0 else "upper bound must be below 1"
            raise ConfigSpaceError(f"{call}: the {which}; use uniform, or bounds with 0 <= lower < upper < 1")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "_low", self._scaled(lower))
        object.__setattr__(self, "_high", self._scaled(upper))
        if not math.isfinite(self._high - self._low):
            raise ConfigSpaceError(f"{call}: the range is too wide for floating-point numbers; use a narrower one")
        object.__setattr__(self, "_width", self._high - self._low)

    def __str__(self) -> str:
        return f"{FLOAT_NAMES[self.scale]}({self.lower!r}, {self.upper!r})"

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
        return [min(1.0, max(0.0, (self._scaled(self.cast(value)) - self._low) / self._width))]

    def from_unit(self, encoded: Sequence[float]) -> float:
        return self.from_uniform(_unit(encoded))

    def default(self) -> float:
        if self.scale == "log":
            return self.from_uniform(0.5)
        return min(self.upper, max(self.lower, self.lower + 0.5 * (self.upper - self.lower)))

    def to_json(self) -> dict[str, Any]:
        return {"type": FLOAT_NAMES[self.scale], "lower": self.lower, "upper": self.upper}

    def _find(self, value: Any) -> Any:
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return _ABSENT
        return float(value) if self.lower <= value <= self.upper else _ABSENT

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
        _check_scale("Integer", self.scale, INTEGER_NAMES)
        call = f"{INTEGER_NAMES[self.scale]}({shown(self.lower)}, {shown(self.upper)})"
        lower = _integer(call, "lower bound", self.lower, "use uniform or loguniform for real numbers")
        upper = _integer(call, "upper bound", self.upper, "use uniform or loguniform for real numbers")
        _check_bounds(call, lower, upper, self.scale == "log", may_be_equal=True)
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "_count", upper - lower + 1)
        log = self.scale == "log"
        object.__setattr__(self, "_low", math.log(lower - 0.5) if log else 0.0)
        object.__setattr__(self, "_width", math.log(upper + 0.5) - self._low if log else float(self._count))

    def __str__(self) -> str:
        return f"{INTEGER_NAMES[self.scale]}({self.lower}, {self.upper})"

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
            return [(x - self.lower + 0.5) / self._width]
        return [(math.log(x) - self._low) / self._width]

    def from_unit(self, encoded: Sequence[float]) -> int:
        return self.from_uniform(_unit(encoded))

    def size(self) -> int:
        return self._count

    def default(self) -> int:
        if self.scale == "linear":
            return (self.lower + self.upper) // 2
        return min(self.upper, max(self.lower, round(math.sqrt(self.lower) * math.sqrt(self.upper))))

    def to_json(self) -> dict[str, Any]:
        return {"type": INTEGER_NAMES[self.scale], "lower": self.lower, "upper": self.upper}

    def _find(self, value: Any) -> Any:
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.lower <= value <= self.upper:
            return _ABSENT
        return int(value) if value == int(value) else _ABSENT

    def _remedy(self) -> str:
        return f"use an integer between {self.lower} and {self.upper}"


def _identity(value: Any) -> Any:
    """A hashable stand-in for a category: equal for equal categories, and True is not 1."""
    if isinstance(value, (list, dict)):
        return json.dumps(value, sort_keys=True), "json"
    return value, isinstance(value, bool)


def hashable(value: Any) -> Any:
    """``value`` of a domain as something to put into a set."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value


def is_json_value(value: Any) -> bool:
    """Whether JSON carries ``value`` unchanged: finite numbers, strings, booleans, None, lists and dictionaries of such."""
    if value is None or type(value) in (str, bool, int):
        return True
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is list:
        return all(is_json_value(item) for item in value)
    return type(value) is dict and all(type(key) is str and is_json_value(item) for key, item in value.items())


def _checked_categories(name: str, categories: Any) -> tuple[Any, ...]:
    if hasattr(categories, "tolist"):
        categories = categories.tolist()
    if not isinstance(categories, (list, tuple, range)):
        raise ConfigSpaceError(
            f"{name}({shown(categories)}): the values must be a list, not {type(categories).__name__}; "
            "a list has an order that is the same in every process"
        )
    call = f"{name}({shown(list(categories))})"
    if not categories:
        raise ConfigSpaceError(f"{call}: there is no value; give at least one")
    values = tuple(list(v) if isinstance(v, tuple) else plain(v) for v in categories)
    seen: list[Any] = []
    known: set[Any] = set()
    for value in values:
        if not is_json_value(value):
            raise ConfigSpaceError(
                f"{call}: {shown(value)} of type {type(value).__name__} is not a JSON value; use finite numbers, strings, "
                "booleans, None, or lists and dictionaries of them"
            )
        stand_in = hashable(value)
        if stand_in in known:
            first = next(other for other in seen if hashable(other) == stand_in)
            raise ConfigSpaceError(
                f"{call}: the values {shown(first)} and {shown(value)} are equal; list each value once"
            )
        known.add(stand_in)
        seen.append(value)
    return values


@dataclass(frozen=True, slots=True)
class Categorical(Domain):
    """Values without an order, all equally likely. Two are encoded in one dimension, others one-hot."""

    categories: tuple[Any, ...]
    _index: dict[Any, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = _checked_categories("choice", self.categories)
        object.__setattr__(self, "categories", values)
        object.__setattr__(self, "_index", {_identity(value): i for i, value in enumerate(values)})

    def __str__(self) -> str:
        return f"choice({list(self.categories)!r})"

    def from_uniform(self, u: float) -> Any:
        return self.categories[min(int(u * len(self.categories)), len(self.categories) - 1)]

    @property
    def unit_dimension(self) -> int:
        return 1 if len(self.categories) == 2 else len(self.categories)

    def to_unit(self, value: Any) -> list[float]:
        index = self._index[_identity(self.cast(value))]
        if len(self.categories) == 2:
            return [(index + 0.5) / 2]
        return [float(i == index) for i in range(len(self.categories))]

    def from_unit(self, encoded: Sequence[float]) -> Any:
        if len(self.categories) == 2:
            return self.categories[_unit(encoded) >= 0.5]
        weights = [float(weight) for weight in encoded]
        return self.categories[weights.index(max(weights))]

    def size(self) -> int:
        return len(self.categories)

    def default(self) -> Any:
        return self.categories[0]

    def to_json(self) -> dict[str, Any]:
        return {"type": "choice", "categories": list(self.categories)}

    def _find(self, value: Any) -> Any:
        value = list(value) if isinstance(value, tuple) else plain(value)
        index = self._index.get(_identity(value)) if is_json_value(value) else None
        return _ABSENT if index is None else self.categories[index]


@dataclass(frozen=True, slots=True)
class Ordinal(Domain):
    """Values with an order, encoded in one dimension.

    ``kind="equal"`` spaces them equally, whatever they are. ``"nn"`` and ``"nn-log"`` need increasing numbers: a point of
    the range, uniform in the value or its logarithm, stands for the nearest of them, with half an average gap beyond
    either end.
    """

    categories: tuple[Any, ...]
    kind: str = "equal"
    _index: dict[Any, int] = field(init=False, repr=False, compare=False)
    _points: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _cuts: list[float] = field(init=False, repr=False, compare=False)
    _low: float = field(init=False, repr=False, compare=False)
    _width: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = "logordinal" if self.kind == "nn-log" else "ordinal"
        if self.kind not in ORDINAL_KINDS:
            raise ConfigSpaceError(f"ordinal: kind {self.kind!r} is not known; use one of {', '.join(ORDINAL_KINDS)}")
        values = _checked_categories(name, self.categories)
        call = f"{name}({shown(list(values))})"
        if self.kind == "equal":
            points = tuple(float(i) for i in range(len(values)))
        else:
            if not are_increasing_numbers(values):
                raise ConfigSpaceError(
                    f"{call}: kind {self.kind!r} needs at least two numbers, strictly increasing; sort them, "
                    'or use kind="equal"'
                )
            if self.kind == "nn-log" and values[0] <= 0:
                raise ConfigSpaceError(f"{call}: the first value must be above 0; use ordinal, or positive values")
            points = tuple(math.log(v) if self.kind == "nn-log" else float(v) for v in values)
        margin = 0.5 if len(points) == 1 else 0.5 * (points[-1] - points[0]) / (len(points) - 1)
        width = points[-1] - points[0] + 2 * margin
        if not math.isfinite(width) or any(b <= a for a, b in zip(points, points[1:], strict=False)):
            raise ConfigSpaceError(f"{call}: the values are too far apart or too close for floating-point numbers")
        object.__setattr__(self, "categories", values)
        object.__setattr__(self, "_index", {_identity(value): i for i, value in enumerate(values)})
        object.__setattr__(self, "_points", points)
        object.__setattr__(self, "_cuts", [a + 0.5 * (b - a) for a, b in zip(points, points[1:], strict=False)])
        object.__setattr__(self, "_low", points[0] - margin)
        object.__setattr__(self, "_width", width)

    def __str__(self) -> str:
        if self.kind == "nn-log":
            return f"logordinal({list(self.categories)!r})"
        return f"ordinal({list(self.categories)!r}, kind={self.kind!r})"

    def from_uniform(self, u: float) -> Any:
        return self.categories[bisect_right(self._cuts, self._low + u * self._width)]

    def to_unit(self, value: Any) -> list[float]:
        point = self._points[self._index[_identity(self.cast(value))]]
        return [min(1.0, max(0.0, (point - self._low) / self._width))]

    def from_unit(self, encoded: Sequence[float]) -> Any:
        return self.from_uniform(_unit(encoded))

    def size(self) -> int:
        return len(self.categories)

    def default(self) -> Any:
        if self.kind == "equal":
            return self.categories[len(self.categories) // 2]
        return self.from_uniform(0.5)

    def to_json(self) -> dict[str, Any]:
        return {"type": "ordinal", "categories": list(self.categories), "kind": self.kind}

    def _find(self, value: Any) -> Any:
        value = list(value) if isinstance(value, tuple) else plain(value)
        index = self._index.get(_identity(value)) if is_json_value(value) else None
        return _ABSENT if index is None else self.categories[index]


def are_increasing_numbers(values: Sequence[Any]) -> bool:
    """Whether there are at least two values, all of them numbers, each above the one before."""
    if len(values) < 2 or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
        return False
    return all(a < b for a, b in zip(values, values[1:], strict=False))


@dataclass(frozen=True, slots=True)
class FiniteRange(Domain):
    """``count`` numbers from lower to upper, equally spaced in the given scale (``linear`` or ``log``), equally likely."""

    lower: float
    upper: float
    count: int
    cast_int: bool = False
    scale: str = "linear"
    values: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_scale("FiniteRange", self.scale, FINITE_NAMES)
        call = f"{FINITE_NAMES[self.scale]}({shown(self.lower)}, {shown(self.upper)}, {shown(self.count)})"
        lower = _number(call, "lower bound", self.lower)
        upper = _number(call, "upper bound", self.upper)
        count = _integer(call, "size", self.count, "it says how many values there are")
        if count < 2:
            raise ConfigSpaceError(
                f"{call}: the size must be at least 2; put a plain value into the config space instead"
            )
        _check_bounds(call, lower, upper, self.scale == "log")
        if not isinstance(self.cast_int, bool):
            raise ConfigSpaceError(f"{call}: cast_int must be True or False, not {shown(self.cast_int)}")
        log = self.scale == "log"
        low, high = (math.log(lower), math.log(upper)) if log else (lower, upper)
        steps = [low + (high - low) * (i / (count - 1)) for i in range(1, count - 1)]
        values: list[float] = [lower, *([math.exp(x) for x in steps] if log else steps), upper]
        if self.cast_int and math.isfinite(high - low):
            values = [round(value) for value in values]
        if not math.isfinite(high - low) or not are_increasing_numbers(values):
            what = "after rounding to integers " if self.cast_int else ""
            raise ConfigSpaceError(f"{call}: {what}some values are equal; use a smaller size or a wider range")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "values", tuple(values))

    def __str__(self) -> str:
        cast_int = ", cast_int=True" if self.cast_int else ""
        return f"{FINITE_NAMES[self.scale]}({self.lower!r}, {self.upper!r}, {self.count}{cast_int})"

    def from_uniform(self, u: float) -> float:
        return self.values[min(int(u * self.count), self.count - 1)]

    def _nearest(self, value: float) -> int:
        right = min(max(bisect_right(self.values, value), 1), self.count - 1)
        return right if self.values[right] - value < value - self.values[right - 1] else right - 1

    def to_unit(self, value: Any) -> list[float]:
        return [(self._nearest(self.cast(value)) + 0.5) / self.count]

    def from_unit(self, encoded: Sequence[float]) -> float:
        return self.from_uniform(_unit(encoded))

    def size(self) -> int:
        return self.count

    def default(self) -> float:
        log = self.scale == "log"
        middle = math.sqrt(self.lower) * math.sqrt(self.upper) if log else self.lower + 0.5 * (self.upper - self.lower)
        return self.values[self._nearest(middle)]

    def to_json(self) -> dict[str, Any]:
        form = {"type": FINITE_NAMES[self.scale], "lower": self.lower, "upper": self.upper, "size": self.count}
        return {**form, "cast_int": self.cast_int}

    def _find(self, value: Any) -> Any:
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            return _ABSENT
        nearest = self.values[self._nearest(value)]
        # 0.3 is meant where the arithmetic of the range gives 0.30000000000000004.
        gap = (self.upper - self.lower) / (self.count - 1)
        if value == nearest or (not self.cast_int and math.isclose(value, nearest, rel_tol=1e-12, abs_tol=1e-12 * gap)):
            return nearest
        return _ABSENT

    def _remedy(self) -> str:
        nearby = ", ".join(repr(value) for value in self.values[:5]) + (", ..." if self.count > 5 else "")
        return f"use one of {nearby}"
