"""Our domains as distributions of Optuna, and values of the one as values of the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.config_categories import hashable
from cloudtune.config_space import Categorical, ConfigSpaceError, Domain, FiniteRange, Float, Integer, Ordinal


class Parameter:
    """A hyperparameter as Optuna knows it, with the same values.

    Args:
        domain: Ours.
        distribution: Optuna's.
    """

    def __init__(self, domain: Domain, distribution: Any) -> None:
        self.domain = domain
        self.distribution = distribution

    def encode(self, value: Any) -> Any:
        """Optuna's value for one of the domain."""
        return value

    def decode(self, number: Any) -> Any:
        """The domain's value for one of Optuna's."""
        return self.domain.cast(number)


class _ReverseLog(Parameter):
    """Real numbers x as -log(1 - x)."""

    def encode(self, value: float) -> float:
        return float(min(self.distribution.high, max(self.distribution.low, -math.log1p(-value))))

    def decode(self, number: float) -> float:
        assert isinstance(self.domain, Float)
        return min(self.domain.upper, max(self.domain.lower, -math.expm1(-number)))


class _Place(Parameter):
    """Values by their place in [0, 1]."""

    def encode(self, value: Any) -> float:
        return self.domain.to_unit(value)[0]

    def decode(self, number: float) -> Any:
        return self.domain.from_unit([number])


class _Index(Parameter):
    """Values that are listed, by their index: Optuna takes no lists and dictionaries, and True for 1."""

    def __init__(self, domain: Domain, values: Sequence[Any], distribution: Any) -> None:
        super().__init__(domain, distribution)
        self._index = {hashable(value): i for i, value in enumerate(values)}

    def encode(self, value: Any) -> int:
        return self._index[hashable(value)]

    def decode(self, number: int) -> Any:
        return self.domain.from_uniform((number + 0.5) / len(self._index))


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

    if isinstance(domain, Float) and domain.scale == "reverselog":
        return _ReverseLog(domain, FloatDistribution(-math.log1p(-domain.lower), -math.log1p(-domain.upper)))
    if isinstance(domain, Float):
        return Parameter(domain, FloatDistribution(domain.lower, domain.upper, log=domain.scale == "log"))
    if isinstance(domain, Integer):
        return Parameter(domain, IntDistribution(domain.lower, domain.upper, log=domain.scale == "log"))
    if isinstance(domain, FiniteRange):
        return _Index(domain, domain.values, IntDistribution(0, domain.count - 1))
    if isinstance(domain, Categorical):
        return _Index(domain, domain.categories, CategoricalDistribution(range(domain.size())))
    if isinstance(domain, Ordinal) and domain.kind == "equal":
        return _Index(domain, domain.categories, IntDistribution(0, domain.size() - 1))
    if domain.unit_dimension == 1:
        return _Place(domain, FloatDistribution(0, 1))
    raise ConfigSpaceError(
        f"config space: parameter {name!r}: Optuna has no distribution for {domain}; use a domain of cloudtune's own"
    )
