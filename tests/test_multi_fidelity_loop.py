"""PASHA and synchronous Hyperband under the tuner: an experiment over a finite space ends, whatever its trials do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloudtune.config_space import choice
from cloudtune.optimizer.baselines import PASHA, SyncHyperband
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.trial import TrialStatus
from cloudtune.tuner import Tuner
from tests.virtual import Machine, Program
from tests.virtual_tuner import curve, make_tuner, of_kind

SPACE: dict[str, Any] = {"x": choice([i / 20 for i in range(20)]), "max_epochs": 9}

METHODS: dict[str, Callable[[], TrialScheduler]] = {
    "pasha": lambda: PASHA(SPACE, metric="loss", max_resource_attr="max_epochs", random_seed=1),
    "synchronous": lambda: SyncHyperband(SPACE, metric="loss", max_resource_attr="max_epochs", random_seed=1),
}


def run(method: str, program: Program, n_workers: int, lacks_metric: Callable[[int], bool] = lambda _: False) -> Tuner:
    """Runs until nothing is left to suggest; reports of some epochs lack the metric."""
    machine = Machine(program)
    tuner = make_tuner(
        machine,
        METHODS[method](),
        stop_criterion=StoppingCriterion(max_wallclock_time=10_000),
        n_workers=n_workers,
        max_failures=99,
    )
    advance = machine.advance

    def changed(attempt: Any) -> None:
        before = len(attempt.reports)
        advance(attempt)
        for report in attempt.reports[before:]:
            if lacks_metric(report["epoch"]):
                del report["loss"]
                report["seconds"] = 1.0

    machine.advance = changed  # type: ignore[method-assign]
    tuner.run()
    assert of_kind(machine, "finish")[-1]["why"] == "nothing left to suggest"
    assert tuner.status.num_trials_started == 20
    return tuner


def how_many(tuner: Tuner, status: TrialStatus) -> int:
    """Trials of a status at the end."""
    return tuner.status.num_by_status[status]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_workers", [1, 3, 40])
def test_it_ends_with_few_workers_and_with_many(method: str, n_workers: int) -> None:
    """With fewer workers than a batch, and with more than there are configurations; stragglers included."""
    tuner = run(method, Program(curve, seconds=lambda config: 1 + 50 * (config["x"] == 0.5)), n_workers)
    assert how_many(tuner, TrialStatus.paused) + how_many(tuner, TrialStatus.completed) == 20
    assert (how_many(tuner, TrialStatus.completed) > 0) == (method == "synchronous")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_it_ends_where_all_trials_fail(method: str, fails_at: int) -> None:
    """At once, or when they have been resumed: those that were not are left paused."""
    tuner = run(method, Program(curve, fails_at=lambda _config: fails_at), 3)
    assert how_many(tuner, TrialStatus.completed) == 0
    assert how_many(tuner, TrialStatus.failed) >= (20 if fails_at == 1 else 3)


@pytest.mark.parametrize("method", METHODS)
def test_it_ends_where_scripts_keep_no_checkpoints(method: str) -> None:
    """Resumed trials begin anew; what they report again counts once."""
    tuner = run(method, Program(curve, keeps_checkpoints=False), 3)
    machine_reports = tuner.status.num_evaluations
    assert machine_reports == run(method, Program(curve), 3).status.num_evaluations


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lacking", [{2, 4}, {3}, {1, 3}, {9}])
def test_it_ends_where_reports_lack_the_metric(method: str, lacking: set[int]) -> None:
    """Between levels that does not matter; of a trial that tells nothing at its level, the last result counts."""
    tuner = run(method, Program(curve), 3, lambda epoch: epoch in lacking)
    assert how_many(tuner, TrialStatus.in_progress) == 0
