"""Computes one configuration from a snapshot: of the initial design, or by model and acquisition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cloudtune.config_space import ConfigSampler, config_key
from cloudtune.optimizer.searchers.bayesian.acquisition import Acquisition
from cloudtune.optimizer.searchers.bayesian.candidates import candidate_rows, new_config
from cloudtune.optimizer.searchers.bayesian.encoder import Array
from cloudtune.optimizer.searchers.bayesian.given import best_given
from cloudtune.optimizer.searchers.bayesian.initial_design import sobol
from cloudtune.optimizer.searchers.bayesian.maximum import best_first
from cloudtune.optimizer.searchers.bayesian.models import Models
from cloudtune.optimizer.searchers.bayesian.neglect import neglected
from cloudtune.optimizer.searchers.bayesian.snapshot import ModelOptions, Proposal, Snapshot
from cloudtune.trial import Config


def propose(snapshot: Snapshot) -> Proposal:
    """The configuration of a suggestion, none of those known. Of a finite space, or of those given, one must be left.

    The global states of random numbers of torch and numpy are neither read nor changed.

    Raises:
        ValueError: A constraint or a cost is to count, and no trial has reported it.
        NotPositiveDefinite: A covariance matrix could not be factorised, whatever the jitter.
    """
    if snapshot.model is None:
        return Proposal(snapshot.number, _planned(snapshot), {})
    with _one_thread():
        return _by_model(snapshot, snapshot.model)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices of this size are handled faster by one thread than by several, and always in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _by_model(snapshot: Snapshot, options: ModelOptions) -> Proposal:
    tried = [*(one.row for one in snapshot.observations), *(row for row, _ in snapshot.pending)]
    given = snapshot.given
    among = None if given is None else given.configs.rows[given.left]
    wanted = neglected(snapshot.encoder, tried, snapshot.number, among)
    if wanted is not None:
        proposal = _within(snapshot, options, *wanted)
        if proposal is not None:
            return proposal
    models = Models(snapshot, options)
    config = _best(snapshot, *models.acquisition(), wanted)
    by_chance = config is None
    config = _by_chance(snapshot) if config is None else config
    return Proposal(snapshot.number, config, models.parameters, models.fitted, models.failed_fits, by_chance)


def _within(snapshot: Snapshot, options: ModelOptions, domain: int, category: int) -> Proposal | None:
    """By a model of the trials of one category alone; None if there are too few, or all that it would try is known."""
    within = snapshot.within(domain, category)
    if within is None or not snapshot.warm:
        return None
    models = Models(within, options)
    config = _best(within, *models.acquisition(), (domain, category))
    if config is None:
        return None
    return Proposal(snapshot.number, config, snapshot.warm, snapshot.fitted, models.failed_fits)


def _best(
    snapshot: Snapshot, acquisition: Acquisition, incumbents: Array, wanted: tuple[int, int] | None
) -> Config | None:
    """The best new configuration; of the wanted category if there is one, else of all. None if all tried is known."""
    encoder = snapshot.encoder
    if snapshot.given is not None:
        return best_given(snapshot.given, acquisition, encoder, incumbents, wanted, snapshot.rng(2))
    rows = candidate_rows(snapshot.space, encoder, incumbents, snapshot.known, snapshot.rng(2))

    def best_of(rows: Array, kept: int | None = None) -> Config | None:
        return _first_new(snapshot, map(encoder.config, best_first(acquisition, encoder, rows, snapshot.rng(3), kept)))

    best = None
    if wanted is not None:
        best = best_of(encoder.with_category(rows, *wanted), wanted[0])
    return best_of(rows) if best is None else best


def _planned(snapshot: Snapshot) -> Config:
    """Of the initial design: of given configurations a random one."""
    if snapshot.given is not None:
        return snapshot.given.drawn
    planned = _first_new(snapshot, _from_design(snapshot))
    return _by_chance(snapshot) if planned is None else planned


def _from_design(snapshot: Snapshot) -> Iterator[Config]:
    """One point of the sequence, which is the same for all suggestions of a searcher."""
    sampler = ConfigSampler(snapshot.space)
    row = sobol(sampler.dimension, 1, snapshot.random.generator(0), snapshot.position)[0]
    yield sampler.from_uniform(row.tolist())


def _first_new(snapshot: Snapshot, configs: Iterator[Config]) -> Config | None:
    return next((config for config in configs if config_key(snapshot.space, config) not in snapshot.known), None)


def _by_chance(snapshot: Snapshot) -> Config:
    return new_config(snapshot.space, snapshot.known, snapshot.rng(4))
