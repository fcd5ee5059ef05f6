"""Reruns as experiments of their study: seen, stopped and paid like the others, from before their job is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudtune.aws.errors import AccessDenied
from cloudtune.localcloud.fault import Fault
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell_records import CellRecords
from cloudtune.studies.launches_stopped import LaunchesStopped
from cloudtune.studies.ledger import Ledger, micros
from cloudtune.studies.rerun import Rerun
from cloudtune.studies.rerun_launching import launch_reruns
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.status import study_standing
from cloudtune.studies.stop_mark import put_stop_mark
from cloudtune.studies.stopping import StudyStopping
from cloudtune.studies.study_money import open_study_budget
from cloudtune.studies.winners import Winner
from tests.studies.launch_world import ACCOUNT, PLAN, LaunchWorld, cells_of

STUDY = replace(PLAN, methods=("RS",))


def rerun_of(world: LaunchWorld, num_seeds: int = 3) -> Rerun:
    """Of the study's winner."""
    (cell,) = cells_of(STUDY)
    winner = Winner(
        tag=cell.tag,
        benchmark="height",
        experiment=cell.name,
        method="RS",
        trial_id=0,
        metric="loss",
        mode="min",
        value=0.1,
        config={"width": 3, "epochs": 9},
        master_seed=1,
    )
    catalogue = Catalogue({"height": lambda: replace(world.benchmark(), seed_attr="seed")})
    return Rerun(catalogue, winner, num_seeds, CellSettings(backend="sagemaker"), ACCOUNT)


def test_one_that_starts_is_seen_and_stopped(world: LaunchWorld) -> None:
    """Its tuner has said nothing yet."""
    rerun, told = rerun_of(world), list[str]()
    (job,) = launch_reruns(world.place(), [rerun], told.append)
    assert told == [f"{rerun.name} runs as training job {job}"]
    (standing,) = study_standing(world.place()).cells
    assert (standing.name, standing.state, standing.tuner_job) == (rerun.name, "starting", job)
    result = StudyStopping(world.place(), False, 0.0, told.append, interval=0.01).run(wait=False)
    assert result.asked == {rerun.name: job}
    assert world.jobs("InProgress") == []


def test_more_seeds_go_into_the_same_experiment(world: LaunchWorld) -> None:
    """What was written down of it first stays."""
    launch_reruns(world.place(), [rerun_of(world)], list[str]().append)
    cell = rerun_of(world).cell
    world.kill(cell)
    (again,) = launch_reruns(world.place(), [rerun_of(world, num_seeds=5)], list[str]().append)
    assert again == world.job_of(cell, 1)
    assert CellRecords(world.place()).read([cell.name])[cell.name].settings.max_num_trials_started == 3


def test_its_study_goes_on(world: LaunchWorld) -> None:
    """A rerun is no cell of its plan, and its machines count."""
    launch_reruns(world.place(), [rerun_of(world)], list[str]().append)
    assert len(world.launch(STUDY).launched) == 1


def test_one_that_cannot_be_launched_keeps_no_money(world: LaunchWorld) -> None:
    """What was put aside for it is given back at once."""
    open_study_budget(world.place(), study_standing(world.place()), 100.0)
    world.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob"))
    with pytest.raises(AccessDenied):
        launch_reruns(world.place(), [rerun_of(world)], list[str]().append)
    book = Ledger(world.bucket, world.place().budget).read()
    assert book is not None
    assert (book.limit, book.committed) == (micros(100.0), 0)


def test_stopped_meanwhile(world: LaunchWorld) -> None:
    """The next one is not launched any more."""
    first, second = rerun_of(world), replace(rerun_of(world), n_workers=2)
    assert first.name != second.name
    with pytest.raises(LaunchesStopped):
        launch_reruns(world.place(), [first, second], lambda _line: put_stop_mark(world.place()))
    assert len(world.jobs()) == 1
