"""Searching among given configurations only, such as those of a table: a list of them, and which of it are left."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.config_domains import plain_value, shown
from cloudtune.config_space import (
    Categorical,
    ConfigSampler,
    ConfigSpaceError,
    Domain,
    Ordinal,
    complete_config,
    config_digest,
    plain_config_space,
    search_space,
    validate_config_space,
)
from cloudtune.trial import Config

_OPTION = "restrict_configurations"


class GivenConfigs:
    """The configurations of a list, numbered from 0, each once. It does not change.

    Args:
        space: The config space.
        configs: Mappings with a value for every hyperparameter. Constants may be left out.

    Raises:
        ConfigSpaceError: The space is wrong, or this is no list of configurations of it, or an empty one; the message
            names the first configuration that is wrong.
    """

    def __init__(self, space: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> None:
        validate_config_space(space)
        self._space = plain_config_space(space)
        self._domains = search_space(self._space)
        self._sampler = ConfigSampler(self._space)
        self._copied = [name for name, value in self._space.items() if _may_be_changed(value)]
        self._configs: list[Config] = []
        self._numbers: dict[Hashable, int] = {}
        for place, config in enumerate(_listed(configs)):
            checked = self._checked(place, config)
            key = self._sampler.key(checked)
            if key not in self._numbers:
                self._numbers[key] = len(self._configs)
                self._configs.append(checked)

    def __len__(self) -> int:
        return len(self._configs)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "rows"}

    def config(self, number: int) -> Config:
        """A configuration, constants included."""
        config = self._configs[number].copy()
        for name in self._copied:
            config[name] = copy.deepcopy(config[name])
        return config

    def number(self, config: Mapping[str, Any]) -> int | None:
        """Which one this is, whatever its constants; None if it is not in the list."""
        return self._numbers.get(self._sampler.key(config))

    @cached_property
    def rows(self) -> npt.NDArray[np.float64]:
        """All of them, encoded as by :func:`~cloudtune.config_space.encode`, of shape ``(n, dimension)``."""
        columns: list[list[list[float]]] = []
        for name, domain in self._domains.items():
            known: dict[Any, list[float]] = {}
            column = []
            for config in self._configs:
                value = config[name]
                if isinstance(value, (list, dict)):
                    column.append(domain.to_unit(value))
                    continue
                if value not in known:
                    known[value] = domain.to_unit(value)
                column.append(known[value])
            columns.append(column)
        if not columns:
            return np.zeros((len(self), 0))
        return np.concatenate([np.array(column, dtype=np.float64) for column in columns], axis=1)

    @cached_property
    def _digest(self) -> str:
        return config_digest({"configurations": [[config[name] for name in self._domains] for config in self._configs]})

    def settings(self) -> dict[str, Any]:
        """What tells this list from others, for a searcher's settings: JSON values."""
        return {_OPTION: {"number": len(self), "digest": self._digest}}

    def points(self, points: Sequence[Mapping[str, Any]] | None) -> list[Config]:
        """Points to evaluate first, with defaults for what they lack; None: there are none.

        Raises:
            ConfigSpaceError: One is not in the list, or no configuration of the space, or these are no points.
        """
        complete = [complete_config(self._space, point) for point in listed_points(points or ())]
        for point in complete:
            if self.number(point) is None:
                parameters = {name: point[name] for name in self._domains}
                raise ConfigSpaceError(
                    f"points_to_evaluate: {shown(parameters)} is not among the {len(self)} of {_OPTION}; leave it out, "
                    "or add it there"
                )
        return complete

    def _checked(self, place: int, config: Any) -> Config:
        """With the domains' own values, and the constants of the space."""
        where = f"{_OPTION}: configuration {place}"
        if not isinstance(config, Mapping):
            raise ConfigSpaceError(f"{where} is {shown(config)}; use a dictionary with a value for each hyperparameter")
        if not config.keys() <= self._space.keys():
            name = next(name for name in config if name not in self._space)
            known = ", ".join(self._space)
            raise ConfigSpaceError(f"{where}: parameter {name!r} is not in the config space; it has {known}")
        checked = self._space.copy()
        for name, domain in self._domains.items():
            if name not in config:
                raise ConfigSpaceError(
                    f"{where}: parameter {name!r} is missing; give each configuration a value for every hyperparameter"
                )
            try:
                checked[name] = domain.cast(config[name])
            except ConfigSpaceError as error:
                raise ConfigSpaceError(f"{where}: parameter {name!r}: {error}") from error
        for name in config.keys() - self._domains.keys():
            if plain_value(config[name]) != self._space[name]:
                raise ConfigSpaceError(
                    f"{where}: parameter {name!r} is the constant {shown(self._space[name])} in the config space, not "
                    f"{shown(config[name])}; leave it out, or make it a domain"
                )
        return checked


class LeftConfigs:
    """Those of the given configurations that may still be proposed.

    Drawing one and taking one away take the same time, however many there are (an order that is shuffled as it is used:
    Fisher and Yates 1938, in the form of Durstenfeld 1964, CACM 7).

    Args:
        given: All of them.
    """

    def __init__(self, given: GivenConfigs) -> None:
        self._given = given
        #: Their numbers: first those that are left.
        self._order = np.arange(len(given))
        #: Of each number, where it is in that order.
        self._places = np.arange(len(given))
        self._count = len(given)

    def __len__(self) -> int:
        return self._count

    def drawn(self, uniform: float) -> Config:
        """One that is left, all equally likely; one must be.

        Args:
            uniform: A random number in [0, 1).
        """
        return self._given.config(int(self._order[int(uniform * self._count)]))

    def take(self, config: Mapping[str, Any]) -> None:
        """Takes a configuration away; another than those that are left changes nothing."""
        number = self._given.number(config)
        if number is None or self._places[number] >= self._count:
            return
        self._count -= 1
        last, place = self._order[self._count], self._places[number]
        self._order[place], self._order[self._count] = last, number
        self._places[last], self._places[number] = place, self._count

    def numbers(self) -> npt.NDArray[np.int64]:
        """Numbers of those that are left, in no order to rely on but the same after the same calls; a copy."""
        left: npt.NDArray[np.int64] = self._order[: self._count].copy()
        return left


def listed_points(points: Any) -> list[Mapping[str, Any]]:
    """Points to evaluate, as they were given.

    Raises:
        ConfigSpaceError: It is no list of dictionaries.
    """
    remedy = "use a list of dictionaries, each with values for some hyperparameters, such as [{}] for the defaults"
    if isinstance(points, (str, Mapping)) or not isinstance(points, Iterable):
        raise ConfigSpaceError(f"points_to_evaluate is {shown(points)}; {remedy}")
    listed = list(points)
    for place, point in enumerate(listed):
        if not isinstance(point, Mapping):
            raise ConfigSpaceError(f"points_to_evaluate: point {place} is {shown(point)}; {remedy}")
    return listed


def _listed(configs: Any) -> Sequence[Any]:
    if isinstance(configs, (str, Mapping)) or not isinstance(configs, Sequence):
        raise ConfigSpaceError(
            f"{_OPTION} is of type {type(configs).__name__}; use a list of configurations, which are dictionaries"
        )
    if not configs:
        raise ConfigSpaceError(f"{_OPTION} is empty; give one configuration at least, or None for no restriction")
    return configs


def _may_be_changed(value: Any) -> bool:
    """Whether a configuration needs a copy of its own of what this constant is, or this domain has."""
    if isinstance(value, Domain):
        return isinstance(value, (Categorical, Ordinal)) and value.has_nested
    return isinstance(value, (list, dict))
