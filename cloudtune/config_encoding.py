"""Configurations as points of the unit cube, for model-based methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.config_domains import ConfigSpaceError, Domain, plain_value


def encoded_ranges(space: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """For each domain, in order, the first position and the one past the last of its numbers in an encoded vector."""
    ranges: dict[str, tuple[int, int]] = {}
    start = 0
    for name, value in space.items():
        if isinstance(value, Domain):
            ranges[name] = (start, start + value.unit_dimension)
            start += value.unit_dimension
    return ranges


def dimension(space: Mapping[str, Any]) -> int:
    """Length of an encoded vector."""
    return sum(value.unit_dimension for value in space.values() if isinstance(value, Domain))


def encode(space: Mapping[str, Any], config: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """``config`` as a vector of shape ``(dimension(space),)`` with entries in [0, 1]. Constants are left out.

    Raises :class:`ConfigSpaceError`, naming the parameter, where a value is missing or not in its domain.
    """
    numbers: list[float] = []
    for name, value in space.items():
        if not isinstance(value, Domain):
            continue
        if name not in config:
            raise ConfigSpaceError(f"configuration: parameter {name!r} is missing; complete_config fills in defaults")
        try:
            numbers.extend(value.to_unit(config[name]))
        except ConfigSpaceError as error:
            raise ConfigSpaceError(f"configuration: parameter {name!r}: {error}") from error
    return np.array(numbers, dtype=np.float64)


def decode(space: Mapping[str, Any], encoded: npt.ArrayLike) -> dict[str, Any]:
    """The configuration nearest to a vector of shape ``(dimension(space),)``; constants are included.

    Raises ``ValueError`` for a vector of another shape.
    """
    vector = np.asarray(encoded, dtype=np.float64)
    if vector.shape != (dimension(space),):
        raise ValueError(f"an encoded configuration of this space has shape ({dimension(space)},), got {vector.shape}")
    numbers: list[float] = vector.tolist()
    config: dict[str, Any] = {}
    start = 0
    for name, value in space.items():
        if isinstance(value, Domain):
            config[name] = value.from_unit(numbers[start : start + value.unit_dimension])
            start += value.unit_dimension
        else:
            config[name] = plain_value(value)
    return config
