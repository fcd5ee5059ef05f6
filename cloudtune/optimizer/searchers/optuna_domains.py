"""Our domains as distributions of Optuna, and values of the one as values of the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cloudtune.config_categories import hashable
from cloudtune.config_space import Categorical, ConfigSpaceError, Domain, FiniteRange, Float, Integer, Ordinal


class Parameter(NamedTuple):
    """A hyperparameter as Optuna knows it.

    ``distribution`` is an Optuna distribution; ``encode`` makes its value of the domain's, ``decode`` the other way.
    """

    distribution: Any
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def parameters(domains: Mapping[str, Domain]) -> dict[str, Parameter]:
    """Every domain as a parameter, by name.

    Numbers keep their value and their scale, save that ``reverseloguniform`` is uniform in -log(1 - x). Categories and
    what is equally spaced go by their index, other ordinals by their place in [0, 1].

    Raises:
        ConfigSpaceError: A domain is of a kind of one's own, and encoded in several numbers.
    """
    return {name: _parameter(name, domain) for name, domain in domains.items()}


def _parameter(name: str, domain: Domain) -> Parameter:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Float):
        if domain.scale == "reverselog":
            low, high = -math.log1p(-domain.lower), -math.log1p(-domain.upper)
            return Parameter(
                FloatDistribution(low, high),
                lambda value: min(high, max(low, -math.log1p(-value))),
                lambda number: min(domain.upper, max(domain.lower, -math.expm1(-number))),
            )
        return Parameter(FloatDistribution(domain.lower, domain.upper, log=domain.scale == "log"), float, domain.cast)
    if isinstance(domain, Integer):
        return Parameter(IntDistribution(domain.lower, domain.upper, log=domain.scale == "log"), int, domain.cast)
    if isinstance(domain, FiniteRange):
        count = domain.count
        return Parameter(
            IntDistribution(0, count - 1),
            lambda value: min(count - 1, int(domain.to_unit(value)[0] * count)),
            lambda index: domain.values[index],
        )
    if isinstance(domain, Categorical) or (isinstance(domain, Ordinal) and domain.kind == "equal"):
        count, index_of = domain.size(), {hashable(value): i for i, value in enumerate(domain.categories)}
        # Not the values: Optuna takes no lists and dictionaries.
        indices = (
            CategoricalDistribution(range(count)) if isinstance(domain, Categorical) else IntDistribution(0, count - 1)
        )
        return Parameter(
            indices, lambda value: index_of[hashable(value)], lambda index: domain.from_uniform((index + 0.5) / count)
        )
    if domain.unit_dimension == 1:
        return Parameter(
            FloatDistribution(0, 1), lambda value: domain.to_unit(value)[0], lambda number: domain.from_unit([number])
        )
    raise ConfigSpaceError(
        f"config space: parameter {name!r}: Optuna has no distribution for {domain}; use a domain of cloudtune's own"
    )
