"""Domains that list their values: without an order (categorical) or with one (ordinal)."""

from __future__ import annotations

import copy
import itertools
import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.config_domains import (
    ABSENT,
    ConfigSpaceError,
    Domain,
    is_json_value,
    is_number,
    plain_value,
    shown,
    unit_numbers,
)

#: How the values of an :class:`Ordinal` are spaced.
ORDINAL_KINDS = ("equal", "nn", "nn-log")


def hashable(value: Any) -> Any:
    """``value`` of a domain as something to put into a set."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value


def _identity(value: Any) -> Any:
    """Equal for equal values, where True is not 1 and a list is not its JSON."""
    return hashable(value), isinstance(value, bool), isinstance(value, (list, dict))


def are_increasing_numbers(values: Sequence[Any]) -> bool:
    """Whether there are at least two values, all of them numbers, each above the one before."""
    return len(values) >= 2 and all(map(is_number, values)) and all(a < b for a, b in itertools.pairwise(values))


def _listed(categories: Any) -> list[Any] | None:
    """The values with their numpy scalars and tuples made plain, or None if they are not in a list or the like."""
    if hasattr(categories, "tolist"):
        categories = categories.tolist()
    if not isinstance(categories, (list, tuple, range)):
        return None
    return [plain_value(value) for value in categories]


def default_kind(categories: Any) -> str:
    """``"nn"`` for increasing numbers, else ``"equal"``."""
    return "nn" if are_increasing_numbers(_listed(categories) or []) else "equal"


def _checked(name: str, categories: Any) -> tuple[Any, ...]:
    values = _listed(categories)
    if values is None:
        raise ConfigSpaceError(
            f"{name}({shown(categories)}): the values must be a list, not {type(categories).__name__}; "
            "a list has the same order in every process"
        )
    call = f"{name}({shown(values)})"
    if not values:
        raise ConfigSpaceError(f"{call}: there is no value; give at least one")
    known: dict[Any, Any] = {}
    for value in values:
        if not is_json_value(value):
            raise ConfigSpaceError(
                f"{call}: {shown(value)} of type {type(value).__name__} is not a JSON value; use finite numbers, "
                "strings, booleans, None, or lists and dictionaries of them"
            )
        key = hashable(value)
        if key in known:
            raise ConfigSpaceError(
                f"{call}: the values {shown(known[key])} and {shown(value)} are equal; list each value once"
            )
        known[key] = value
    return tuple(values)


class _Listed(Domain):
    """What domains that list their values have in common."""

    __slots__ = ()

    categories: tuple[Any, ...]
    _index: dict[Any, int]
    _nested: bool

    def _set_categories(self, values: tuple[Any, ...]) -> None:
        object.__setattr__(self, "categories", values)
        object.__setattr__(self, "_index", {_identity(value): i for i, value in enumerate(values)})
        object.__setattr__(self, "_nested", any(isinstance(value, (list, dict)) for value in values))

    def _at(self, index: int) -> Any:
        # Who changes a configuration must not change the domain.
        return copy.deepcopy(self.categories[index]) if self._nested else self.categories[index]

    @property
    def has_nested(self) -> bool:
        """Whether a value is a list or a dictionary."""
        return self._nested

    def size(self) -> int:
        return len(self.categories)

    def _index_of(self, value: Any) -> int:
        return self._index[_identity(self.cast(value))]

    def _find(self, value: Any) -> Any:
        value = plain_value(value)
        index = self._index.get(_identity(value)) if is_json_value(value) else None
        return ABSENT if index is None else self._at(index)

    def _remedy(self) -> str:
        first = ", ".join(repr(value) for value in self.categories[:5])
        return f"use one of {first}{', ...' if len(self.categories) > 5 else ''}"


@dataclass(frozen=True, slots=True)
class Categorical(_Listed):
    """Values without an order, all equally likely. Two are encoded in one dimension, others one-hot."""

    categories: tuple[Any, ...]
    _index: dict[Any, int] = field(init=False, repr=False, compare=False)
    _nested: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._set_categories(_checked("choice", self.categories))

    def __str__(self) -> str:
        return f"choice({list(self.categories)!r})"

    def from_uniform(self, u: float) -> Any:
        index = int(u * len(self.categories))
        return self._at(index if index < len(self.categories) else -1)

    @property
    def unit_dimension(self) -> int:
        """How many numbers :meth:`to_unit` gives: one for two values, else one per value."""
        return 1 if len(self.categories) == 2 else len(self.categories)

    def to_unit(self, value: Any) -> list[float]:
        index = self._index_of(value)
        if len(self.categories) == 2:
            return [(index + 0.5) / 2]
        return [float(i == index) for i in range(len(self.categories))]

    def from_unit(self, encoded: Sequence[float]) -> Any:
        numbers = unit_numbers(encoded)
        if len(self.categories) == 2:
            return self._at(int(numbers[0] >= 0.5))
        return self._at(numbers.index(max(numbers)))

    def default(self) -> Any:
        return self._at(0)

    def to_json(self) -> dict[str, Any]:
        return {"type": "choice", "categories": copy.deepcopy(list(self.categories))}


@dataclass(frozen=True, slots=True)
class Ordinal(_Listed):
    """Values with an order, encoded in one dimension.

    ``kind="equal"`` spaces them equally, whatever they are, and all are equally likely. ``"nn"`` and ``"nn-log"``
    need increasing numbers: a point of the range, uniform in the value or its logarithm, stands for the nearest of
    them, with half an average gap beyond either end.
    """

    categories: tuple[Any, ...]
    kind: str = "equal"
    _index: dict[Any, int] = field(init=False, repr=False, compare=False)
    _nested: bool = field(init=False, repr=False, compare=False)
    _points: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _cuts: list[float] = field(init=False, repr=False, compare=False)
    _low: float = field(init=False, repr=False, compare=False)
    _width: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in ORDINAL_KINDS:
            raise ConfigSpaceError(f"ordinal: kind {self.kind!r} is not known; use one of {', '.join(ORDINAL_KINDS)}")
        name = "logordinal" if self.kind == "nn-log" else "ordinal"
        self._set_categories(_checked(name, self.categories))
        call = f"{name}({shown(list(self.categories))})"
        points = self._spaced(call)
        margin = 0.5 * (points[-1] - points[0]) / (len(points) - 1) if len(points) > 1 else 0.5
        object.__setattr__(self, "_points", points)
        object.__setattr__(self, "_cuts", [a + 0.5 * (b - a) for a, b in itertools.pairwise(points)])
        object.__setattr__(self, "_low", points[0] - margin)
        object.__setattr__(self, "_width", points[-1] - points[0] + 2 * margin)
        if not 0 < self._width < math.inf or any(
            self.from_unit(self.to_unit(value)) != value for value in self.categories
        ):
            raise ConfigSpaceError(
                f"{call}: the values are too close together, or too far apart, for floating-point numbers; "
                'use kind="equal"'
            )

    def _spaced(self, call: str) -> tuple[float, ...]:
        """Where the values lie on the line that is searched."""
        values = self.categories
        if self.kind == "equal":
            return tuple(float(i) for i in range(len(values)))
        if not are_increasing_numbers(values):
            raise ConfigSpaceError(
                f"{call}: kind {self.kind!r} needs at least two numbers, strictly increasing; sort them, "
                'or use kind="equal"'
            )
        if self.kind == "nn-log" and values[0] <= 0:
            raise ConfigSpaceError(f"{call}: the first value must be above 0; use ordinal, or positive values")
        try:
            return tuple(math.log(v) if self.kind == "nn-log" else float(v) for v in values)
        except OverflowError as error:
            raise ConfigSpaceError(
                f'{call}: a value is too large for floating-point numbers; use kind="equal"'
            ) from error

    def __str__(self) -> str:
        if self.kind == "nn-log":
            return f"logordinal({list(self.categories)!r})"
        return f"ordinal({list(self.categories)!r}, kind={self.kind!r})"

    def from_uniform(self, u: float) -> Any:
        return self._at(bisect_right(self._cuts, self._low + u * self._width))

    def to_unit(self, value: Any) -> list[float]:
        return unit_numbers([(self._points[self._index_of(value)] - self._low) / self._width])

    def from_unit(self, encoded: Sequence[float]) -> Any:
        return self.from_uniform(unit_numbers(encoded)[0])

    def default(self) -> Any:
        return self._at(len(self.categories) // 2) if self.kind == "equal" else self.from_uniform(0.5)

    def to_json(self) -> dict[str, Any]:
        return {"type": "ordinal", "categories": copy.deepcopy(list(self.categories)), "kind": self.kind}
