"""Configurations among which an acquisition is maximised, and new ones where all else is known already."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np

from cloudtune.config_space import ConfigSampler, config_key, config_space_size, search_space
from cloudtune.optimizer.searchers.bayesian.encoder import Array, Encoder
from cloudtune.optimizer.searchers.bayesian.initial_design import sobol
from cloudtune.optimizer.searchers.lattice import Lattice, all_values
from cloudtune.trial import Config

#: Evenly spread candidates, and random steps from each of the best configurations so far, by the size of the steps.
_NUM_SPREAD = 384
_NUM_STEPS = {0.02: 12, 0.1: 12}

#: All configurations are candidates of a space that has no more of them.
_MAX_LISTED = 1000

#: Draws that may hit known configurations before those that are left are counted through.
_MAX_DRAWS = 20


def candidate_rows(
    space: Mapping[str, Any], encoder: Encoder, incumbents: Array, known: Collection[Hashable], rng: np.random.Generator
) -> Array:
    """Rows of candidates: all new ones of a small space; else evenly spread ones, and some around the best so far.

    Args:
        space: The config space.
        encoder: Of its configurations.
        incumbents: Rows of the best configurations so far.
        known: Keys of configurations that are not wanted.
        rng: Of all draws.
    """
    size = config_space_size(space)
    if size is not None and size <= _MAX_LISTED:
        lattice = _lattice(space)
        new = [config for config in map(lattice.config, range(lattice.size)) if config_key(space, config) not in known]
        if new:
            return np.stack([encoder.row(config) for config in new])
    spread = encoder.from_unit(sobol(encoder.num_domains, _NUM_SPREAD, rng))
    around = [
        encoder.neighbours(np.repeat(incumbents, count, axis=0), rng, scale) for scale, count in _NUM_STEPS.items()
    ]
    return np.concatenate([spread, *around])


def new_config(space: Mapping[str, Any], known: Collection[Hashable], rng: np.random.Generator) -> Config:
    """A random configuration that is not known; of a finite space one must be left."""
    sampler = ConfigSampler(space)
    size = config_space_size(space)
    draws = 0
    while size is None or draws < _MAX_DRAWS:
        config = sampler.from_uniform(rng.random(sampler.dimension).tolist())
        if config_key(space, config) not in known:
            return config
        draws += 1
    lattice = _lattice(space)
    begin = int(rng.integers(lattice.size))
    numbers = ((begin + step) % lattice.size for step in range(lattice.size))
    return next(config for config in map(lattice.config, numbers) if config_key(space, config) not in known)


def _lattice(space: Mapping[str, Any]) -> Lattice:
    return Lattice(space, {name: all_values(domain) for name, domain in search_space(space).items()})
