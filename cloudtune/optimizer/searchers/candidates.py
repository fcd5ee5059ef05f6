"""Searches a config space for a good configuration that is new: random draws, then steps from the best of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.config_space import Categorical, ConfigSampler, config_key, encode, encoded_ranges, search_space
from cloudtune.trial import Config

Array = npt.NDArray[np.float64]

_STARTS = 5
_ROUNDS = 5
_NEIGHBOURS = 20
#: Standard deviations of a step, in the unit cube; each step has one of them.
_STEPS = (0.02, 0.1, 0.3)


class CandidateSearch:
    """Maximises a score over the configurations of a space.

    Every candidate is a configuration: scores are asked for what the encoding makes of it, with integers rounded and
    categories one-hot.

    Args:
        space: The config space.
        score: From encoded configurations, shape ``(n, dimension)``, to scores, shape ``(n,)``.
        rng: Of all draws.
    """

    def __init__(self, space: Mapping[str, Any], score: Callable[[Array], Array], rng: np.random.Generator) -> None:
        self._space = space
        self._score = score
        self._rng = rng
        self._sampler = ConfigSampler(space)
        self._domains = search_space(space)
        self._ranges = encoded_ranges(space)
        self._pool: dict[Hashable, tuple[float, Config, Array]] = {}

    def best(self, num_draws: int, known: Collection[Hashable], starts: Sequence[Config] = ()) -> Config | None:
        """The configuration of the highest score that was found, none of ``known``; None if there was no other.

        Among equal scores, the one that was drawn first.

        Args:
            num_draws: Random draws before the local search.
            known: Keys (``config_key``) of configurations that are not wanted.
            starts: Further configurations to search around, known or not.
        """
        rows = self._rng.random((num_draws, self._sampler.dimension)).tolist()
        self._consider(map(self._sampler.from_uniform, rows))
        self._consider(starts)
        for _ in range(_ROUNDS):
            around = sorted(self._pool.values(), key=lambda one: -one[0])[:_STARTS]
            self._consider([self._step(one[2], one[1]) for one in around for _ in range(_NEIGHBOURS)])
        new = [(score, config) for key, (score, config, _) in self._pool.items() if key not in known]
        return max(new, key=lambda one: one[0])[1] if new else None

    def _consider(self, configs: Iterable[Config]) -> None:
        new: dict[Hashable, Config] = {}
        for config in configs:
            key = config_key(self._domains, config)
            if key not in self._pool:
                new.setdefault(key, config)
        if new:
            encoded = np.stack([encode(self._space, config) for config in new.values()])
            scores = self._score(encoded).tolist()
            for (key, config), score, vector in zip(new.items(), scores, encoded, strict=True):
                self._pool[key] = (score, config, vector)

    def _step(self, vector: Array, config: Config) -> Config:
        """A neighbour: one parameter changed for certain, and each other with a chance of about one in the number."""
        names = list(self._domains)
        changed = self._rng.random(len(names)) < 1 / len(names)
        changed[int(self._rng.integers(len(names)))] = True
        size = float(self._rng.choice(_STEPS))
        neighbour = dict(config)
        for name, change in zip(names, changed, strict=True):
            if not change:
                continue
            domain, begin = self._domains[name], self._ranges[name][0]
            if isinstance(domain, Categorical):
                neighbour[name] = domain.sample(self._rng)
            else:
                neighbour[name] = domain.from_unit([float(vector[begin]) + size * float(self._rng.standard_normal())])
        return neighbour
