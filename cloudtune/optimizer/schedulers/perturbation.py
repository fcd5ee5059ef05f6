"""Exploring: a configuration near a good one.

Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks" (arXiv:1711.09846), section 4: each
hyperparameter is either multiplied by a factor at random, or drawn anew from its distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cloudtune.config_numbers import Float, Integer
from cloudtune.config_space import Domain, search_space
from cloudtune.optimizer.searchers.lattice import all_values
from cloudtune.trial import Config


def explored(
    space: Mapping[str, Any],
    config: Mapping[str, Any],
    resample_probability: float,
    factors: Sequence[float],
    rng: np.random.Generator,
) -> Config:
    """A configuration near ``config``, constants included, in the order of the space.

    Args:
        space: The config space.
        config: One of its configurations.
        resample_probability: Probability with which a hyperparameter is drawn anew from its domain, each by itself.
        factors: What the others are perturbed by, one of these each; see :func:`perturbed`.
        rng: Three numbers are drawn for each hyperparameter.
    """
    found = dict(config)
    for name, domain in search_space(space).items():
        resample, which, anew = rng.random(3).tolist()
        if resample < resample_probability:
            found[name] = domain.from_uniform(anew)
        else:
            found[name] = perturbed(domain, config[name], factors[int(which * len(factors))])
    return found


def perturbed(domain: Domain, value: Any, factor: float) -> Any:
    """A value of ``domain`` near ``value``.

    Numbers are multiplied by the factor and moved into the domain's range; on the scale of ``reverseloguniform`` it is
    the distance from 1 that is multiplied. An integer moves by one at least, and zero, which no factor moves, by that
    share of the range. Where values are listed, it is the next one for a factor above 1, else the one before (at an end
    of the list, its only neighbour).

    Raises:
        ConfigSpaceError: The domain has no such value.
    """
    value = domain.cast(value)
    if isinstance(domain, Float):
        if domain.scale == "reverselog":
            moved = 1 - (1 - value) * factor
        else:
            moved = value * factor if value else (factor - 1) * (domain.upper - domain.lower)
        return min(max(moved, domain.lower), domain.upper)
    if isinstance(domain, Integer):
        by = round(value * factor) - value or (1 if factor > 1 else -1)
        return min(max(value + by, domain.lower), domain.upper)
    values = all_values(domain)
    here = next(i for i, other in enumerate(values) if type(other) is type(value) and other == value)
    step = 1 if factor > 1 else -1
    for index in (here + step, here - step):
        if 0 <= index < len(values):
            return domain.cast(values[index])
    return value
