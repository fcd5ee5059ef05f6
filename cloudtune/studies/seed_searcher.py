"""Tries one configuration on one random seed after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.config_space import randint
from cloudtune.optimizer.searchers import Searcher
from cloudtune.studies.seeds import rerun_seeds
from cloudtune.trial import Config

#: Below this all seeds are, see :func:`rerun_seeds`.
SEEDS = 2**31


class SeedSearcher(Searcher):
    """Proposes the same values each time, and another seed. It never ends: the stopping criterion counts.

    Args:
        config: What stays the same.
        seed_attr: Name of the seed.
        master: Seed of the study.
        benchmark: Name of the benchmark.
    """

    def __init__(self, config: Mapping[str, Any], seed_attr: str, master: int, benchmark: str) -> None:
        super().__init__({**config, seed_attr: randint(0, SEEDS - 1)}, points_to_evaluate=[], random_seed=master)
        self._fixed = dict(config)
        self._seed_attr = seed_attr
        self._benchmark = benchmark

    def settings(self) -> dict[str, Any]:
        """What, besides the master seed, decides the seeds."""
        return {"seed_attr": self._seed_attr, "benchmark": self._benchmark}

    def suggest(self) -> Config:
        """The configuration with the next seed."""
        number = self.num_suggestions
        return {**self._fixed, self._seed_attr: rerun_seeds(self.random_seed, self._benchmark, number + 1)[number]}
