"""The random numbers of a study: one master seed, and a stream of its own for whatever is random.

A stream is keyed by what it is for (numpy's ``SeedSequence``), never by the order in which experiments are launched:
the same cell draws the same numbers whatever else its study holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from cloudtune.config_space import ConfigSampler
from cloudtune.optimizer.randomness import KeyedRandom
from cloudtune.studies.cell import Cell
from cloudtune.trial import Config


def master_seed(tag: str) -> int:
    """The master seed of a study that was given none: the same for each launch under its tag. Below 2**32."""
    return int.from_bytes(hashlib.sha256(tag.encode()).digest()[:4], "big")


def method_seed(master: int, cell: Cell) -> int:
    """Seed of a cell's method, from (master, benchmark, seed, method, workers). Below 2**32."""
    return _derived(master, "method", cell.benchmark, str(cell.seed), cell.method, str(cell.n_workers))


def first_configs(master: int, cell: Cell, config_space: Mapping[str, Any], count: int) -> list[Config]:
    """The configurations that a cell tries first, from (master, benchmark, seed): all methods start alike.

    With more of them the list only grows at its end, so that cells with more workers begin as those with fewer do.

    Args:
        master: Seed of the study.
        cell: Whose.
        config_space: Of the benchmark.
        count: How many.
    """
    sampler = ConfigSampler(config_space)
    random = KeyedRandom(_derived(master, "first", cell.benchmark, str(cell.seed)), "first")
    return [sampler.from_uniform(random.uniform_row(number, sampler.dimension)) for number in range(count)]


def rerun_seeds(master: int, benchmark: str, count: int) -> list[int]:
    """Seeds for training one configuration again and again, from (master, benchmark). All differ; each below 2**31.

    With more of them the list only grows at its end.

    Args:
        master: Seed of the study.
        benchmark: Name of the benchmark.
        count: How many.
    """
    seeds: dict[int, None] = {}
    number = 0
    while len(seeds) < count:
        # Many scripts hold a seed in 32 bits with a sign.
        seeds[_derived(master, "rerun", benchmark, str(number)) >> 1] = None
        number += 1
    return list(seeds)


def _derived(master: int, *key: str) -> int:
    """A seed below 2**32 that nothing but the master seed and the key decides."""
    words = np.frombuffer(hashlib.sha256("\0".join(key).encode()).digest(), dtype="<u4")
    return int(np.random.SeedSequence([master, *map(int, words)]).generate_state(1)[0])
