"""What others do to a study while its tuners' jobs are being created: stop it, limit its money, launch it otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.errors import CloudtuneError
from cloudtune.localcloud.fault import Fault
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.studies import study_money
from cloudtune.studies.budget import BudgetRefused
from cloudtune.studies.launches_stopped import LaunchesStopped
from cloudtune.studies.launching import CellConflict, NotAllLaunched
from cloudtune.studies.ledger import Book, Ledger
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.stop_mark import put_stop_mark
from cloudtune.studies.stopping import StudyStopping
from tests.studies.launch_world import PLAN, LaunchWorld, cells_of

ONE = replace(PLAN, methods=("RS",))


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has something happen right before, or right after, the first job of a tuner is created."""

    def install(before: Callable[[], object] | None = None, after: Callable[[], object] | None = None) -> None:
        real, happened = TrainingJobs.create, threading.Event()

        def create(self: TrainingJobs, request: Mapping[str, Any], **options: Any) -> object:
            first = not happened.is_set()
            happened.set()
            if first and before is not None:
                before()
            created = real(self, request, **options)
            if first and after is not None:
                after()
            return created

        monkeypatch.setattr(TrainingJobs, "create", create)

    return install


def before_tasks(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Has something happen right before it is written what the job of a tuner reads."""
    real = TunerPlace.write_task

    def write_task(self: TunerPlace, *arguments: Any, **options: Any) -> str:
        happens()
        return real(self, *arguments, **options)

    monkeypatch.setattr(TunerPlace, "write_task", write_task)


def test_stopped_while_jobs_are_created(world: LaunchWorld, around: Callable[..., None]) -> None:
    """Whoever stops the study waits for those that are about to be there, and none of them runs in the end."""
    waits, told = threading.Event(), list[str]()
    result = []

    def tell(line: str) -> None:
        told.append(line)
        if "being launched" in line:
            waits.set()

    stopping = StudyStopping(world.place(), leave_trials=False, grace=0.0, tell=tell, interval=0.01)
    ending = threading.Event()

    def end_all() -> None:
        # What SageMaker does with jobs that are being stopped.
        while not ending.wait(0.01):
            for job in world.jobs("Stopping"):
                world.cloud.job(job).finish("Stopped", "Stopped", "")

    stopper = threading.Thread(target=lambda: result.append(stopping.run()))
    sagemaker = threading.Thread(target=end_all)
    sagemaker.start()

    def stop() -> None:
        stopper.start()
        assert waits.wait(60)

    around(before=stop)
    try:
        with pytest.raises(LaunchesStopped):
            world.launch(replace(PLAN, num_seeds=6))
        stopper.join(60)
    finally:
        ending.set()
        sagemaker.join()
    assert result, told
    assert world.jobs("InProgress") == []
    assert not result[0].failed


def test_stopped_without_waiting_while_a_job_is_created(world: LaunchWorld, around: Callable[..., None]) -> None:
    """Its launcher stops the job itself: it looks once more when the job is there."""
    around(before=lambda: put_stop_mark(world.place()))
    with pytest.raises(LaunchesStopped):
        world.launch(ONE)
    assert len(world.jobs("Stopping")) == len(world.jobs()) == 1


def test_stopped_right_before_a_job_is_created(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is created, and what was written for it is gone: it was never launched."""
    before_tasks(monkeypatch, lambda: put_stop_mark(world.place()))
    with pytest.raises(LaunchesStopped):
        world.launch(ONE)
    (cell,) = cells_of(ONE)
    assert world.jobs() == []
    assert TunerPlace(world.bucket, world.place().experiment(cell.name)).attempts() == []


def test_that_s3_does_not_tell_of_a_stop_ends_no_job(
    world: LaunchWorld, around: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """The job is there, and stays: it says nothing about it that the mark cannot be read."""
    around(after=lambda: world.cloud.faults.add("access_denied", operation="s3:HeadObject", resource="*stopped.json"))
    assert len(world.launch(ONE).launched) == 1
    assert len(world.jobs("InProgress")) == 1
    assert "called off training job" in caplog.text


def test_a_limit_that_is_set_while_a_job_is_created(world: LaunchWorld, around: Callable[..., None]) -> None:
    """Whoever sets it is told that the experiment would run without it."""
    refused = []

    def limit() -> None:
        with pytest.raises(BudgetRefused, match="runs without a limit") as caught:
            world.launch(replace(PLAN, methods=("ASHA",)), max_cost=50.0)
        refused.append(str(caught.value))

    around(before=limit)
    assert len(world.launch(ONE).launched) == 1
    assert cells_of(ONE)[0].name in refused[0]


def test_a_limit_that_is_there_when_a_job_was_created(world: LaunchWorld, around: Callable[..., None]) -> None:
    """The launcher stops its job: it would run without the limit."""
    ledger = Ledger(world.bucket, world.place().budget)
    around(before=lambda: ledger.change(lambda _: Book(50_000_000)))
    with pytest.raises(NotAllLaunched, match="a max_cost was set for the study while this launch was made"):
        world.launch(ONE)
    assert len(world.jobs("Stopping")) == len(world.jobs()) == 1


def test_who_runs_without_the_limit_is_named(
    world: LaunchWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where one has come in all the same, each launch says so."""
    world.launch(ONE)
    Ledger(world.bucket, world.place().budget).change(lambda _: Book(50_000_000))
    world.launch(replace(PLAN, methods=("ASHA",)))
    assert "an experiment runs of 'heights' without its limit of money" in caplog.text
    assert cells_of(ONE)[0].name in caplog.text
    assert study_money.logger.name in {record.name for record in caplog.records}


def test_other_settings_while_a_job_is_created(world: LaunchWorld, around: Callable[..., None]) -> None:
    """The experiment has begun, though no job is there yet: its record stays what it is launched with."""
    other = replace(ONE, settings=CellSettings(max_wallclock_time=1200))
    conflicts = []

    def launch_otherwise() -> None:
        with pytest.raises(CellConflict, match="max_wallclock_time = 600, which is 1200 now"):
            world.launch(other)
        conflicts.append(True)

    around(before=launch_otherwise)
    assert len(world.launch(ONE).launched) == 1
    assert conflicts == [True]
    assert len(world.launch(ONE).running) == 1


def test_other_settings_that_are_recorded_at_the_last_moment(
    world: LaunchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody could see that a job is about to be created: none is, for it would not be what is recorded."""
    (cell,) = cells_of(ONE)
    key = world.place().cell(cell.name)

    def replace_record() -> None:
        got = world.bucket.get(key)
        assert got is not None
        world.bucket.put(key, got.body.replace(b"600", b"900"))

    before_tasks(monkeypatch, replace_record)
    with pytest.raises(NotAllLaunched, match="was launched with other settings, or its record was deleted"):
        world.launch(ONE)
    assert world.jobs() == []


def test_money_of_a_launch_that_failed(world: LaunchWorld) -> None:
    """Even where it could not be given back at once, the next launch of the same process gives it back."""
    world.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob"))
    ledger = Ledger(world.bucket, world.place().budget)
    real = ledger.read
    with pytest.MonkeyPatch.context() as patch:
        from cloudtune.studies.budget import StudyBudget

        def fail(_self: StudyBudget, _name: str) -> None:
            raise CloudtuneError("S3 is away")

        patch.setattr(StudyBudget, "withdraw", fail)
        with pytest.raises(NotAllLaunched):
            world.launch(ONE, max_cost=50.0)
    book = real()
    assert book is not None
    assert book.committed > 0
    with pytest.raises(NotAllLaunched):
        world.launch(replace(PLAN, methods=("ASHA",)))
    book = real()
    assert book is not None
    assert book.committed == 0
