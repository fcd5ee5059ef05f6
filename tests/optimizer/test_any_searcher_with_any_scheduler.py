"""Any searcher combines with any scheduler: each pair is reproducible, goes on from its log or a pickle, and ends.

What single methods decide, the contract shows with programs that hypothesis makes; here each pair runs one course.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from cloudtune.config_space import choice, randint
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers import (
    FIFOScheduler,
    HyperbandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    SynchronousHyperbandScheduler,
)
from tests.contracts.scheduler_contract import METRIC, RESOURCE, Simulation, Step, comparable, replay

MAXIMUM = 4
#: Eight configurations. CMA-ES needs two parameters that are numbers.
SPACE: dict[str, Any] = {"depth": randint(1, 2), "width": randint(1, 2), "kind": choice(["a", "b"])}
SIZE = 8

SEARCHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "grid": ("grid", {}),
    "bayesopt": ("bayesopt", {"num_init_random": 6}),
    "bore": ("bore", {"num_init_random": 3, "num_candidates": 8}),
    "tpe": ("optuna", {"sampler": "tpe", "sampler_options": {"n_startup_trials": 2}}),
    "nsgaii": ("optuna", {"sampler": "nsgaii", "sampler_options": {"population_size": 3}}),
    "cmaes": ("optuna", {"sampler": "cmaes", "sampler_options": {"popsize": 3, "n_startup_trials": 2}}),
}

Made = Callable[..., TrialScheduler]


def rungs(kind: str) -> Made:
    """Successive halving of a type."""
    return lambda **arguments: HyperbandScheduler(**arguments, max_t=MAXIMUM, reduction_factor=2, type=kind)


def synchronous(**arguments: Any) -> TrialScheduler:
    """Two brackets."""
    return SynchronousHyperbandScheduler(**arguments, max_t=MAXIMUM, reduction_factor=2, brackets=2)


def population(**arguments: Any) -> TrialScheduler:
    """A population that is larger than the number of workers."""
    return PopulationBasedTraining(**arguments, max_t=MAXIMUM, population_size=3, perturbation_interval=1)


def median_around(made: Made) -> Made:
    """The median rule, soon at work."""
    return lambda **arguments: MedianStoppingRule(made(**arguments), RESOURCE, grace_population=2)


SCHEDULERS: dict[str, Made] = {
    "fifo": FIFOScheduler,
    "stopping": rungs("stopping"),
    "promotion": rungs("promotion"),
    "pasha": rungs("pasha"),
    "synchronous": synchronous,
    "population": population,
    "median-fifo": median_around(FIFOScheduler),
    "median-population": median_around(population),
}

PAIRS = [pytest.param(*pair, id="-".join(pair)) for pair in ((a, b) for a in SEARCHERS for b in SCHEDULERS)]


def make(searcher: str, scheduler: str, random_seed: int | None) -> TrialScheduler:
    """A pair."""
    name, options = SEARCHERS[searcher]
    return SCHEDULERS[scheduler](
        config_space=SPACE,
        searcher=name,
        metric=METRIC,
        resource_attr=RESOURCE,
        random_seed=random_seed,
        search_options=options,
    )


def turn(simulation: Simulation, number: int, workers: int = 2) -> bool:
    """Starts what there is for free workers, and lets a running trial report; it ends when told to, or at the maximum.

    Trial 1 fails, and trial 2 diverges. Returns False if the experiment is over.
    """
    while len(simulation.running) < workers and simulation.suggest() is not None:
        pass
    if not simulation.running:
        return False
    index = number % len(simulation.running)
    run = simulation.running[index]
    config = run.trial.config
    loss = config["depth"] + 1 / config["width"] + (config["kind"] == "a") / (run.epoch + 1)
    value = math.nan if run.trial.trial_id == 2 else loss
    simulation.run([Step("report", index, 1, value)])
    if run.trial.trial_id == 1:
        simulation.run([Step("fail", index)])
    elif run.decision != "CONTINUE":
        simulation.run([Step("end", index)])
    elif run.epoch >= MAXIMUM:
        simulation.run([Step("complete", index)])
    return True


def play(simulation: Simulation, begin: int, end: int) -> bool:
    """Some turns; whether the experiment is over after them."""
    return not all(turn(simulation, number) for number in range(begin, end))


@pytest.mark.parametrize(("searcher", "scheduler"), PAIRS)
def test_a_pair_goes_on_from_its_log_and_from_a_pickle_and_ends(searcher: str, scheduler: str) -> None:
    """One that ran through, one that was told the log of the first half and one that was pickled then answer alike.

    All configurations have been tried in the end, or the population has been trained.
    """
    first = Simulation(make(searcher, scheduler, 3), n_workers=2)
    half = 9
    assert not play(first, 0, half)
    begin = len(first.log)
    fresh = make(searcher, scheduler, None)
    fresh.set_random_seed(3)
    replay(first.log, fresh)
    others = [
        first.continue_with(pickle.loads(pickle.dumps(first.scheduler))),
        first.continue_with(fresh),
    ]
    # What has been suggested before is reproducible too, without a log.
    again = Simulation(make(searcher, scheduler, 3), n_workers=2)
    play(again, 0, half)
    assert comparable(again.log) == comparable(first.log)
    assert play(first, half, 3 * SIZE * MAXIMUM)
    for other in others:
        assert play(other, half, 3 * SIZE * MAXIMUM)
        assert comparable(other.log) == comparable(first.log[begin:])
    if "population" not in scheduler:
        assert first.num_trials == SIZE
