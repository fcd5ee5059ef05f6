"""Config spaces: dictionaries of hyperparameter domains, and of constants that every trial receives.

>>> from cloudtune.config_space import loguniform, randint, validate_config_space
>>> space = {"lr": loguniform(1e-4, 1), "layers": randint(1, 4), "epochs": 9}
>>> validate_config_space(space)

All functions keep the order of the space. Constants and categories are what JSON carries: numpy scalars become plain
numbers and tuples become lists, as which trials receive them.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.config_categories import Categorical, Ordinal, hashable
from cloudtune.config_constructors import (
    choice,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    reverseloguniform,
    uniform,
)
from cloudtune.config_domains import ConfigSpaceError, Domain, plain_value, shown
from cloudtune.config_encoding import decode, dimension, encode, encoded_ranges
from cloudtune.config_numbers import FiniteRange, Float, Integer
from cloudtune.config_space_json import (
    config_space_from_file,
    config_space_from_json,
    config_space_to_json,
    domain_from_json,
    parse_domain,
)
from cloudtune.config_validation import plain_config_space, validate_config_space

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Categorical",
    "ConfigSampler",
    "ConfigSpaceError",
    "Domain",
    "FiniteRange",
    "Float",
    "Integer",
    "Ordinal",
    "choice",
    "complete_config",
    "config_digest",
    "config_from_uniform",
    "config_key",
    "config_space_from_file",
    "config_space_from_json",
    "config_space_size",
    "config_space_to_json",
    "constants",
    "decode",
    "default_config",
    "dimension",
    "domain_from_json",
    "encode",
    "encoded_ranges",
    "finrange",
    "logfinrange",
    "logordinal",
    "lograndint",
    "loguniform",
    "ordinal",
    "parse_domain",
    "plain_config_space",
    "randint",
    "reverseloguniform",
    "sample_config",
    "search_space",
    "uniform",
    "validate_config_space",
]


def search_space(space: Mapping[str, Any]) -> dict[str, Domain]:
    """The domains of ``space``, without its constants."""
    return {name: value for name, value in space.items() if isinstance(value, Domain)}


def constants(space: Mapping[str, Any]) -> dict[str, Any]:
    """The constants of ``space``, without its domains."""
    return {name: value for name, value in space.items() if not isinstance(value, Domain)}


class ConfigSampler:
    """Makes configurations of one space from uniform numbers, and their keys, quickly.

    Args:
        space: The config space; later changes to it have no effect here.
    """

    def __init__(self, space: Mapping[str, Any]) -> None:
        space = plain_config_space(space)
        self._domains = search_space(space)
        self._quantiles = [(name, domain.from_uniform) for name, domain in self._domains.items()]
        self._nested = any(isinstance(value, (Categorical, Ordinal)) and value.has_nested for value in space.values())
        self._template = {name: None if isinstance(value, Domain) else value for name, value in space.items()}
        self._copied = [name for name, value in constants(space).items() if isinstance(value, (list, dict))]
        #: How many numbers a row has: one per domain.
        self.dimension = len(self._quantiles)

    def from_uniform(self, row: Sequence[float]) -> dict[str, Any]:
        """The configuration, constants included, at the quantiles ``row``: one number in [0, 1) per domain, in order.

        Raises ``ValueError`` if ``row`` has another length.
        """
        if len(row) != self.dimension:
            raise ValueError(f"a row needs {self.dimension} numbers, one for each domain, got {len(row)}")
        config: dict[str, Any] = self._template.copy()
        for (name, quantile), u in zip(self._quantiles, row, strict=True):
            config[name] = quantile(u)
        for name in self._copied:
            config[name] = copy.deepcopy(config[name])
        return config

    def key(self, config: Mapping[str, Any]) -> Hashable:
        """The :func:`config_key` of ``config``."""
        if self._nested:
            return config_key(self._domains, config)
        return tuple([config[name] for name in self._domains])


def config_from_uniform(space: Mapping[str, Any], row: Sequence[float]) -> dict[str, Any]:
    """The configuration at the quantiles ``row``; for many configurations make one :class:`ConfigSampler`."""
    return ConfigSampler(space).from_uniform(row)


def sample_config(space: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """A random configuration, constants included. Draws one number per domain from ``rng``, in order."""
    sampler = ConfigSampler(space)
    return sampler.from_uniform(rng.random(sampler.dimension).tolist())


def default_config(space: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in the middle of every domain, constants included."""
    return complete_config(space, {})


def complete_config(space: Mapping[str, Any], partial: Mapping[str, Any]) -> dict[str, Any]:
    """``partial`` with defaults for the parameters it lacks, constants included, in the order of ``space``.

    Raises :class:`ConfigSpaceError`, naming the parameter, for one that the space does not have, a value outside its
    domain, or another value for a constant.
    """
    for name in partial:
        if name not in space:
            known = ", ".join(space)
            raise ConfigSpaceError(f"configuration: parameter {name!r} is not in the config space; it has {known}")
    config: dict[str, Any] = {}
    for name, value in plain_config_space(space).items():
        if not isinstance(value, Domain):
            if name in partial and plain_value(partial[name]) != value:
                raise ConfigSpaceError(
                    f"configuration: parameter {name!r} is the constant {shown(value)} in the config space, not "
                    f"{shown(partial[name])}; leave it out, or make it a domain"
                )
            config[name] = value
        elif name in partial:
            try:
                config[name] = value.cast(partial[name])
            except ConfigSpaceError as error:
                raise ConfigSpaceError(f"configuration: parameter {name!r}: {error}") from error
        else:
            config[name] = value.default()
    return config


def config_key(space: Mapping[str, Any], config: Mapping[str, Any]) -> Hashable:
    """What tells configurations of ``space`` apart: the exact values of its domains, as something to put into a set.

    For many configurations make one :class:`ConfigSampler`, whose ``key`` is quicker.
    """
    return tuple([hashable(config[name]) for name, value in space.items() if isinstance(value, Domain)])


def config_digest(config: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that tell the names and values of ``config``, whatever their order and the process."""
    text = json.dumps(dict(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def config_space_size(space: Mapping[str, Any]) -> int | None:
    """How many different configurations there are, or None for infinitely many."""
    product = 1
    for domain in search_space(space).values():
        size = domain.size()
        if size is None:
            return None
        product *= size
    return product
