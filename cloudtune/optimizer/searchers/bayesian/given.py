"""The best of given configurations by an acquisition, which is asked about all of them at once."""

from __future__ import annotations

import numpy as np

from cloudtune.optimizer.searchers.bayesian.acquisition import Acquisition
from cloudtune.optimizer.searchers.bayesian.encoder import Array, Encoder
from cloudtune.optimizer.searchers.bayesian.maximum import values_at
from cloudtune.optimizer.searchers.bayesian.snapshot import Given
from cloudtune.optimizer.searchers.bayesian.subset import Indices
from cloudtune.trial import Config

#: Of more than so many that are left, so many at random are asked about, and some near each of the best so far.
_MAX_ASKED = 4000
_NUM_NEAR = 50


def best_given(
    given: Given,
    acquisition: Acquisition,
    encoder: Encoder,
    incumbents: Array,
    wanted: tuple[int, int] | None,
    rng: np.random.Generator,
) -> Config:
    """The configuration of the greatest acquisition; one of the wanted category, if there is any.

    Args:
        given: Which there are; one must be left.
        acquisition: What to maximise.
        encoder: Of the configurations.
        incumbents: Rows of the best configurations so far.
        wanted: Number of a domain, and of the category that it is to have there; None: any.
        rng: Of all draws.
    """
    numbers = asked(given, incumbents, rng)
    rows = given.configs.rows[numbers]
    if wanted is not None:
        domain, category = wanted
        having = encoder.categories_in(rows, domain) == category
        if having.any():
            numbers, rows = numbers[having], rows[having]
    return given.configs.config(int(numbers[values_at(acquisition, rows).argmax()]))


def asked(given: Given, incumbents: Array, rng: np.random.Generator) -> Indices:
    """Numbers of the configurations that the acquisition is asked about, each once."""
    if len(given.left) <= _MAX_ASKED:
        return given.left
    drawn = rng.choice(given.left, _MAX_ASKED, replace=False, shuffle=False)
    there = given.configs.rows[given.left]
    near = [((there - row) ** 2).sum(1).argpartition(_NUM_NEAR)[:_NUM_NEAR] for row in incumbents]
    numbers: Indices = np.unique(np.concatenate([drawn, *(given.left[which] for which in near)]))
    return numbers
