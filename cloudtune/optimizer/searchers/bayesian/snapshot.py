"""What a configuration is computed from: a copy, so that it can be computed in another thread."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cloudtune.optimizer.randomness import KeyedRandom
from cloudtune.optimizer.searchers.bayesian.encoder import Array, Encoder
from cloudtune.optimizer.searchers.bayesian.observations import Observation
from cloudtune.optimizer.searchers.bayesian.subset import Indices
from cloudtune.optimizer.searchers.given_configs import GivenConfigs
from cloudtune.trial import Config

#: Trials with a finite value that a model is made of, at least.
MIN_FINITE = 2


@dataclass(frozen=True)
class ModelOptions:
    """How the model is made.

    Args:
        max_size_data_for_model: Observations that it is fitted to at most.
        input_warping: Whether inputs are warped.
        constraint: Whether the values of a constraint count.
        cost_exponent: Power of the cost that improvement is divided by; None: costs do not count.
    """

    max_size_data_for_model: int
    input_warping: bool = False
    constraint: bool = False
    cost_exponent: float | None = None


@dataclass(frozen=True)
class Given:
    """The configurations among which one is chosen.

    Args:
        configs: All of them.
        left: Numbers of those that may be proposed.
        drawn: One of these, at random.
    """

    configs: GivenConfigs
    left: Indices
    drawn: Config


@dataclass(frozen=True)
class Snapshot:
    """What is known when a configuration is wanted.

    Args:
        space: The config space.
        encoder: Of its configurations.
        number: Of the suggestion.
        position: In the initial design, for as long as there is no model.
        random: The searcher's random numbers.
        known: Keys of configurations that must not come again.
        observations: What trials have shown.
        pending: Configuration of each running trial, and the number of the level that it will reach.
        levels: Rung levels; () if there are none.
        warm: Parameters of the models of the suggestion before, by name.
        fitted: To how many observations these were fitted, by name; a model that is not there is fitted again.
        model: How the model is made; None: there is to be none yet.
        given: What to choose among; None: the whole space.
    """

    space: Mapping[str, Any]
    encoder: Encoder
    number: int
    position: int
    random: KeyedRandom
    known: Collection[Hashable]
    observations: Sequence[Observation]
    pending: Sequence[tuple[Array, int]]
    levels: Sequence[int]
    warm: Mapping[str, Sequence[float]]
    fitted: Mapping[str, int]
    model: ModelOptions | None
    given: Given | None = None

    def within(self, domain: int, category: int) -> Snapshot | None:
        """What is known of the configurations with one category of a domain; None if models need to know more.

        Values that are all alike tell nothing of where others may be: then what other categories show is a guide.
        """

        def has(row: Array) -> bool:
            return bool(self.encoder.categories_in(row[None], domain)[0] == category)

        observations = [one for one in self.observations if has(one.row)]
        shown = [one.shown for one in observations]
        finite = {one.trial: one.shown.objective for one in observations if one.shown.objective < math.inf}
        if self.model is None or len(finite) < MIN_FINITE or len(set(finite.values())) == 1:
            return None
        if self.model.constraint and all(one.constraint is None for one in shown):
            return None
        if self.model.cost_exponent is not None and all(one.cost is None for one in shown):
            return None
        pending = [(row, level) for row, level in self.pending if has(row)]
        return replace(self, observations=observations, pending=pending, warm={}, fitted={})

    def rng(self, purpose: int) -> np.random.Generator:
        """A generator for one purpose of this suggestion."""
        return self.random.generator(self.number, purpose)


@dataclass(frozen=True)
class Proposal:
    """What was computed.

    Args:
        number: Of the suggestion that it is for.
        config: The configuration.
        parameters: Of the models, by name; {} if there was none.
        fitted: To how many observations these were fitted, by name.
        failed_fits: How many fits have failed in spite of all jitter.
        by_chance: Whether all that the model would have tried was known, so that the configuration is a random one.
    """

    number: int
    config: Config
    parameters: Mapping[str, Sequence[float]]
    fitted: Mapping[str, int] = field(default_factory=dict)
    failed_fits: int = 0
    by_chance: bool = False
