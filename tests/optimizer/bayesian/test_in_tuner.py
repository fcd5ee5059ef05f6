"""Bayesian optimisation in the tuner: beside the loop, through a log, and what the metadata tell of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarking.regret.problems import PROBLEMS
from cloudtune.callbacks import TunerCallback
from cloudtune.config_space import randint, uniform
from cloudtune.optimizer.baselines import MOBSTER, BayesianOptimization
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.searchers.bayesian import fit as fitting
from cloudtune.optimizer.searchers.bayesian import proposal
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.trial import Trial
from tests.virtual import Machine, Program
from tests.virtual_tuner import SPACE, curve, make_tuner, of_kind

LONG = 60.0
OPTIONS: dict[str, Any] = {"metric": "loss", "points_to_evaluate": [], "random_seed": 0}


def bayesian(space: Any = SPACE, **options: Any) -> TrialScheduler:
    return BayesianOptimization(space, resource_attr="epoch", num_init_random=2, **OPTIONS, **options)


class _Tells(TunerCallback):
    """Lets something go at the third report that comes while a model is being fitted."""

    def __init__(self) -> None:
        self.working, self.event, self.count = False, threading.Event(), 0

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self.count += self.working
        if self.count == 3:
            self.event.set()


def test_events_are_handled_while_a_model_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first fit goes on until three reports have come meanwhile: it would for ever if the loop waited for it."""
    tells, honest = _Tells(), proposal.propose
    by_model: list[bool] = []

    def watched(snapshot: Any) -> Any:
        if snapshot.model is not None and not by_model:
            tells.working = True
            by_model.append(tells.event.wait(LONG))
            tells.working = False
        return honest(snapshot)

    monkeypatch.setattr(proposal, "propose", watched)
    # There is a model when the two short trials have ended; the long one reports on.
    space = {"x": uniform(0, 1), "max_epochs": randint(1, 5000)}
    points = [{"x": x, "max_epochs": epochs} for x, epochs in ((0.1, 1), (0.5, 1), (0.9, 5000))]
    machine = Machine(Program(curve))
    scheduler = BayesianOptimization(
        space, metric="loss", resource_attr="epoch", random_seed=0, points_to_evaluate=points, num_init_random=2
    )
    criterion = StoppingCriterion(max_num_trials_completed=3)
    make_tuner(machine, scheduler, n_workers=3, callbacks=[tells], stop_criterion=criterion).run()
    assert by_model == [True]


def test_a_continued_experiment_goes_on_as_one_that_was_not_interrupted() -> None:
    """With the parameters of its models from the log: the same configurations come."""
    machine = Machine(Program(curve))
    make_tuner(machine, bayesian(), n_workers=1).run()
    whole = [entry["config"] for entry in of_kind(machine, entries.SUGGEST)]
    machine = Machine(Program(curve))
    make_tuner(machine, bayesian(), n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_completed=4)).run()
    make_tuner(machine, bayesian(), n_workers=1).run()
    assert [entry["config"] for entry in of_kind(machine, entries.SUGGEST)] == whole


@pytest.mark.parametrize("problem", ["branin", "hartmann6", "ackley10", "categorical", "conditional"])
def test_on_standard_problems_no_fit_fails(problem: str) -> None:
    """The metadata say so: every configuration after the first two was the model's."""
    space, regret = PROBLEMS[problem].space, PROBLEMS[problem].regret

    def function(config: Mapping[str, Any], level: int) -> float:
        return regret(dict(config))

    machine = Machine(Program(function, levels=1))
    criterion = StoppingCriterion(max_num_trials_started=9)
    make_tuner(machine, bayesian(space), stop_criterion=criterion).run()
    assert machine.metadata["st_scheduler_outcome"] == {"failed_fits": 0, "by_chance": 0}
    assert len([entry for entry in of_kind(machine, entries.SUGGEST) if entry.get("memo")]) >= 5


def test_on_curves_no_fit_fails() -> None:
    """Nor under MOBSTER, where models are of configurations and levels."""
    machine = Machine(Program(curve))
    scheduler = MOBSTER(SPACE, resource_attr="epoch", max_resource_attr="max_epochs", num_init_random=2, **OPTIONS)
    make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=9)).run()
    assert machine.metadata["st_scheduler_outcome"] == {"failed_fits": 0, "by_chance": 0}


def test_failed_fits_are_in_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, also those before the experiment was continued."""

    def failing(*_: Any, **__: Any) -> Any:
        raise fitting.NotPositiveDefinite

    monkeypatch.setattr(fitting, "negative_log_posterior", failing)
    machine = Machine(Program(curve))
    first = StoppingCriterion(max_num_trials_completed=4)
    make_tuner(machine, bayesian(), n_workers=1, stop_criterion=first).run()
    before = machine.metadata["st_scheduler_outcome"]["failed_fits"]
    make_tuner(machine, bayesian(), n_workers=1).run()
    after = machine.metadata["st_scheduler_outcome"]["failed_fits"]
    assert 1 <= before < after
