"""What a domain of a hyperparameter is: its values, how likely each is, and how a value is encoded in the unit cube.

Users make domains with :mod:`cloudtune.config_space` (``loguniform(1e-4, 1)``). A domain is immutable and its values
are plain Python numbers, strings and the like, never numpy scalars, so that a configuration is what its JSON says.

Two maps go from the unit interval to values. :meth:`Domain.from_uniform` is the quantile function: a number drawn
uniformly from [0, 1) gives the domain's distribution. :meth:`Domain.from_unit` undoes :meth:`Domain.to_unit`, the
encoding for model-based methods: one dimension in [0, 1], or one per category.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    import numpy as np

#: What :meth:`Domain._find` answers where a domain lacks a value. None may be a value.
ABSENT: Any = object()


class ConfigSpaceError(CloudtuneError, ValueError):
    """A config space or a configuration for one is wrong; the message names the parameter or domain and the remedy."""


class Domain(ABC):
    """The values that a hyperparameter may take, with a distribution and an encoding.

    ``str(domain)`` is how it is written in a config space.
    """

    __slots__ = ()

    @abstractmethod
    def from_uniform(self, u: float) -> Any:
        """The value at quantile ``u`` in [0, 1)."""

    @abstractmethod
    def to_unit(self, value: Any) -> list[float]:
        """``value`` encoded as ``unit_dimension`` numbers in [0, 1].

        Raises:
            ConfigSpaceError: If the domain has no such value.
        """

    @abstractmethod
    def from_unit(self, encoded: Sequence[float]) -> Any:
        """The value nearest to ``encoded``; numbers outside [0, 1] count as 0 or 1.

        Raises:
            ConfigSpaceError: If a number is NaN.
        """

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
        """The domain's own value that equals ``value``, or :data:`ABSENT`."""

    @abstractmethod
    def _remedy(self) -> str:
        """What to do about a value that the domain does not have, for an error message."""

    def sample(self, rng: np.random.Generator) -> Any:
        """A value drawn with ``rng``, from which it takes one number."""
        return self.from_uniform(float(rng.random()))

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one of the domain. ``"0.1"`` is no number; 3.0 is the integer 3; True is no number."""
        return self._find(value) is not ABSENT

    def cast(self, value: Any) -> Any:
        """The domain's own value that equals ``value``: 3 for 3.0, a plain float for a numpy one.

        Raises:
            ConfigSpaceError: If the domain has no such value.
        """
        found = self._find(value)
        if found is ABSENT:
            raise ConfigSpaceError(f"{shown(value)} is not in {self}; {self._remedy()}")
        return found


def shown(value: Any) -> str:
    """``repr``, cut short for an error message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def plain(value: Any) -> Any:
    """A numpy scalar (or array without dimensions) as the Python number it stands for; anything else as it is."""
    if type(value) in (int, float, str, bool, type(None)):
        return value
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value


def plain_value(value: Any) -> Any:
    """``value`` with its numpy scalars as Python numbers and its tuples as lists, inside lists and dictionaries too."""
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if type(value) is dict:
        return {key: plain_value(item) for key, item in value.items()}
    return plain(value)


def is_number(value: Any) -> bool:
    """Whether ``value`` is an int or a float; booleans are no numbers here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_json_value(value: Any) -> bool:
    """Whether JSON carries ``value`` unchanged: finite numbers, strings, booleans, None, lists and dicts of such."""
    if value is None or type(value) in (str, bool, int):
        return True
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is list:
        return all(is_json_value(item) for item in value)
    return type(value) is dict and all(type(key) is str and is_json_value(item) for key, item in value.items())


def unit_numbers(encoded: Sequence[float]) -> list[float]:
    """``encoded`` as plain floats, moved into [0, 1]. Raises :class:`ConfigSpaceError` for NaN."""
    numbers = [float(u) for u in encoded]
    if any(u != u for u in numbers):
        raise ConfigSpaceError("an encoded value is NaN; encoded values are numbers between 0 and 1")
    return [0.0 if u < 0 else min(u, 1.0) for u in numbers]
