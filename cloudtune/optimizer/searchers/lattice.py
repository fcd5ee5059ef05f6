"""The configurations that take, for every hyperparameter, one value of a list: numbered, without listing them all."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.config_space import Domain, search_space
from cloudtune.trial import Config


class Lattice:
    """All combinations of the given values, numbered from 0; the last hyperparameter changes fastest.

    Args:
        space: Config space, for its constants and the order of its parameters.
        values: For every domain of ``space``, the values to combine.
    """

    def __init__(self, space: Mapping[str, Any], values: Mapping[str, Sequence[Any]]) -> None:
        self._template = dict(space)
        self._copied = [k for k, v in space.items() if isinstance(v, (list, dict))]
        self._axes = [(name, values[name]) for name in reversed(search_space(space))]
        self.size = math.prod(len(axis) for _, axis in self._axes)

    def config(self, number: int) -> Config:
        """Combination ``number``, constants included."""
        config = self._template.copy()
        for name, axis in self._axes:
            number, index = divmod(number, len(axis))
            config[name] = axis[index]
        for name in self._copied:
            config[name] = copy.deepcopy(config[name])
        return config


def all_values(domain: Domain) -> Sequence[Any]:
    """Every value of a finite domain, in order.

    Raises:
        TypeError: The domain has infinitely many values.
    """
    for attribute in ("categories", "values"):
        listed = getattr(domain, attribute, None)
        if isinstance(listed, tuple):
            return listed
    lower, upper = getattr(domain, "lower", None), getattr(domain, "upper", None)
    if domain.size() is None or not isinstance(lower, int) or not isinstance(upper, int):
        raise TypeError(f"the values of {domain} cannot be listed; use a finite domain such as finrange or choice")
    return range(lower, upper + 1)
