"""Continuing one experiment by itself: its study's limit of money holds for that as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.localcloud.fault import Fault
from cloudtune.remote.changes import changes_of
from cloudtune.remote.relaunching import launch_again
from cloudtune.remote.time_limit import LONGEST_JOB
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.studies.budget import BudgetRefused, BudgetUsedUp
from cloudtune.studies.ledger import Book, Ledger, micros
from cloudtune.studies.resuming import Resuming
from tests.studies.launch_world import PLAN, LaunchWorld, cells_of
from tests.studies.test_budget import TRIAL_COST, TUNER_COST, TUNER_HOUR

ONE = replace(PLAN, methods=("RS",))
(CELL,) = cells_of(ONE)
#: Room for a tuner's job and a trial, and for a bit of another tuner's.
ENOUGH = TUNER_COST + TRIAL_COST


def book_of(world: LaunchWorld) -> Book:
    """What the ledger says."""
    book = Ledger(world.bucket, world.place().budget).read()
    assert book is not None
    return book


def killed(world: LaunchWorld, max_cost: float | None) -> S3Experiment:
    """One whose tuner was killed."""
    world.launch(ONE, max_cost=max_cost)
    world.begin(CELL)
    world.kill(CELL)
    return S3Experiment(world.bucket, "", CELL.name, CELL.tag)


def test_its_tuners_job_counts(world: LaunchWorld) -> None:
    """It is put aside before the job is created, beside what the first one has cost."""
    experiment = killed(world, 100.0)
    launch_again(experiment, {}, Resuming(experiment).admit)
    share = book_of(world).share(CELL.name)
    assert micros(TUNER_COST) <= share.tuner < micros(2 * TUNER_COST)
    assert len(world.jobs("InProgress")) == 1


@pytest.mark.parametrize("changes", [{}, changes_of(n_workers=3)])
def test_one_that_takes_several_jobs(world: LaunchWorld, changes: dict[str, Any]) -> None:
    """Those that carry on for the next one are put aside as well, as when it was launched; also the second time."""
    plan = replace(ONE, settings=replace(ONE.settings, max_wallclock_time=900_000))
    world.launch(plan, max_cost=1000.0)
    each = micros(TUNER_HOUR * (LONGEST_JOB + STOP_GRACE) / 3600)
    assert book_of(world).share(CELL.name).tuner == pytest.approx(3 * each)
    experiment = S3Experiment(world.bucket, "", CELL.name, CELL.tag)
    for attempt in (0, 1):
        world.begin(CELL, attempt)
        world.kill(CELL)
        launch_again(experiment, changes, Resuming(experiment).admit)
        assert 3 * each <= book_of(world).share(CELL.name).tuner < 3.1 * each
    world.begin(CELL, 2)
    world.kill(CELL)
    shorter = changes_of(StoppingCriterion(max_wallclock_time=3600))
    launch_again(experiment, shorter, Resuming(experiment).admit)
    assert each <= book_of(world).share(CELL.name).tuner < 1.1 * each


def test_one_that_there_is_no_money_for(world: LaunchWorld) -> None:
    """With a longer time limit its tuner costs more: no job is created, and nothing is put aside."""
    experiment = killed(world, ENOUGH + 0.001)
    before = book_of(world)
    changes = changes_of(StoppingCriterion(max_wallclock_time=360_000))
    with pytest.raises(BudgetUsedUp, match=r"not continued: of the study.s .* raise the limit with"):
        launch_again(experiment, changes, Resuming(experiment).admit)
    assert book_of(world) == before
    assert world.jobs("InProgress") == []


def test_one_that_was_launched_before_there_was_a_limit(world: LaunchWorld) -> None:
    """Its tuner would never ask: the study's own launch makes one that does, here and elsewhere."""
    experiment = killed(world, None)
    other = replace(PLAN, methods=("ASHA",))
    world.launch(other, max_cost=100.0)
    resuming = Resuming(experiment)
    with pytest.raises(BudgetRefused, match="launched when its study had no max_cost"):
        launch_again(experiment, {}, resuming.admit)
    with pytest.raises(BudgetRefused, match="continue it with `cloudtune launch`"):
        resuming.check_here()
    assert world.launch(ONE).continued == (CELL.name,)


def test_a_job_that_is_refused(world: LaunchWorld) -> None:
    """What was put aside for it is given back."""
    experiment = killed(world, 100.0)
    world.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob"))
    with pytest.raises(AccessDenied):
        launch_again(experiment, {}, Resuming(experiment).admit)
    assert book_of(world).share(CELL.name).tuner < micros(TUNER_COST)


def test_a_study_without_a_limit(world: LaunchWorld) -> None:
    """Nothing is asked."""
    experiment = killed(world, None)
    resuming = Resuming(experiment)
    resuming.check_here()
    launch_again(experiment, {}, resuming.admit)
    assert len(world.jobs("InProgress")) == 1
