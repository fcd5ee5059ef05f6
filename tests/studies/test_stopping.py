"""Ending a study: launchers are told, tuners asked, and what does not heed is stopped."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from cloudtune.agent.protocol import WISH_PAUSE, WISH_STOP
from cloudtune.aws.clients import Aws
from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.aws.reaping import Reaped
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.studies import stopping, tuner_jobs
from cloudtune.studies.cell import Cell
from cloudtune.studies.status import study_standing
from cloudtune.studies.stopping import StudyStopped, StudyStopping
from tests.aws.conftest import training_request
from tests.studies.recorded_study import RecordedStudy, cell_of, job_of, said_of


@pytest.fixture
def study(in_process_cloud: InProcessCloud) -> RecordedStudy:
    """A study of which nothing is recorded yet."""
    return RecordedStudy(in_process_cloud)


def stop(
    study: RecordedStudy,
    hears: Callable[[str], None] = lambda _: None,
    grace: float = 180.0,
    wait: bool = True,
    leave_trials: bool = False,
) -> tuple[StudyStopped, list[str]]:
    """Ends it; what became of it, and what was told."""
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        hears(line)

    return StudyStopping(study.place, leave_trials, grace, tell, interval=0.01).run(wait=wait), told


def wish(study: RecordedStudy, cell: Cell) -> str | None:
    """What the tuner of a cell was asked to do."""
    return TunerPlace(study.bucket, study.place.experiment(cell.name)).wish_of(0)


def test_who_runs_is_asked_and_who_waits_does_not_begin(study: RecordedStudy) -> None:
    """Finished experiments are left alone; a launcher sees another mark than before."""
    running, waiting, finished = (cell_of(seed) for seed in range(3))
    study.record(running, waiting, finished)
    for cell in (running, finished):
        study.begin(cell)
    study.say(said_of(running))
    study.say(said_of(finished, state="finished"))
    result, told = stop(study, lambda line: study.end(running) if "asked to end" in line else None)
    assert result.asked == {running.name: job_of(running)}
    assert (result.waiting, result.failed) == ([waiting.name], {})
    assert result.job_status == {job_of(running): "Completed"}
    assert (wish(study, running), wish(study, finished)) == (WISH_STOP, None)
    assert study_standing(study.place).stop_mark
    assert told[0] == f"{running.name}: training job {job_of(running)}, which runs the tuner, is asked to end"


def test_trials_that_are_to_go_on(study: RecordedStudy) -> None:
    """The tuner is asked to leave them; nobody waits for it where that is wanted."""
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell))
    result, _ = stop(study, wait=False, leave_trials=True)
    assert (result.asked, result.job_status) == ({cell.name: job_of(cell)}, {})
    assert wish(study, cell) == WISH_PAUSE
    assert study.cloud.job(job_of(cell)).state.status == "InProgress"


def test_a_tuner_that_does_not_heed_is_stopped(study: RecordedStudy) -> None:
    """After its grace, by SageMaker."""
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell))
    result, told = stop(study, lambda line: study.end(cell, "Stopped") if "does not end" in line else None, 0.0)
    assert f"{job_of(cell)}: it does not end; stopping it" in told
    assert study.cloud.calls("sagemaker:StopTrainingJob")
    assert result.job_status == {job_of(cell): "Stopped"}


def test_a_study_of_the_same_tag_elsewhere_is_left_alone(study: RecordedStudy) -> None:
    """Its tuner's job, called alike and newer, is neither waited for nor stopped; ours is, since it does not end."""
    elsewhere, cell = RecordedStudy(study.cloud, prefix="of-others"), cell_of(0)
    study.begin(cell)
    study.say(said_of(cell))
    theirs = elsewhere.begin(cell, attempt=1)
    elsewhere.say(said_of(cell, job=theirs))
    result, told = stop(study, lambda line: study.end(cell, "Stopped") if "does not end" in line else None, 0.0)
    assert (result.asked, result.job_status) == ({cell.name: job_of(cell)}, {job_of(cell): "Stopped"})
    assert told[-1] == f"{job_of(cell)}: it does not end; stopping it"
    assert study.cloud.job(theirs).state.status == "InProgress"


def test_an_experiment_of_the_same_name_and_another_tag_is_left_alone(in_process_cloud: InProcessCloud) -> None:
    """Tag ``a`` with benchmark ``b-c`` names experiments as tag ``a-b`` with benchmark ``c`` does."""
    ours, theirs = Cell("a", "b-c", "RS", 4, 0), Cell("a-b", "c", "RS", 4, 0)
    study, other = RecordedStudy(in_process_cloud, "a"), RecordedStudy(in_process_cloud, "a-b")
    study.begin(ours)
    study.say(said_of(ours))
    other.say(said_of(theirs, job=other.begin(theirs, attempt=1)))
    result, _ = stop(study, lambda line: study.end(ours) if "asked to end" in line else None, 0.0)
    assert result.job_status == {job_of(ours): "Completed"}
    assert not study.cloud.calls("sagemaker:StopTrainingJob")


def test_tuners_that_many_others_have_followed_are_waited_for(
    study: RecordedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no list that is read has them, they are asked for by their names."""
    monkeypatch.setattr(tuner_jobs, "_MORE_PAGES", 0)
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell))
    result, told = stop(study, lambda line: study.end(cell, "Stopped") if "does not end" in line else None, 0.0)
    assert result.job_status == {job_of(cell): "Stopped"}
    assert "1 of 1 tuners have not ended yet" in told


def test_a_trial_at_another_place_is_left_alone(study: RecordedStudy) -> None:
    """Also where only its tag tells the place."""
    cell, place = cell_of(0), "s3://experiments/of-others/cloudtune/heights/"
    study.record(cell)
    tags = {"experiment": cell.name, "tag": "heights", "trial": "0", "place": f"{place}{cell.name}/abc123/"}
    study.cloud.client("sagemaker").create_training_job(
        **training_request(
            f"{cell.name}-abc123-0-0",
            Tags=[{"Key": f"cloudtune:{key}", "Value": value} for key, value in tags.items()],
        )
    )
    result, _ = stop(study, grace=0.0)
    assert (result.ended, result.running) == ([], [])
    assert not study.cloud.calls("sagemaker:StopTrainingJob")


def test_a_job_that_has_not_begun_is_stopped_at_once(study: RecordedStudy) -> None:
    """Nothing runs there that could hear."""
    cell = cell_of(0)
    study.record(cell)
    study.begin(cell, secondary="Starting")
    result, _ = stop(study, wait=False)
    assert result.asked == {cell.name: job_of(cell)}
    assert study.cloud.calls("sagemaker:StopTrainingJob")


def test_one_that_is_launched_meanwhile_ends_too(study: RecordedStudy) -> None:
    """By a launcher that had not seen the mark yet."""
    first, late = cell_of(0), cell_of(1)
    study.record(first, late)
    study.begin(first)

    def launch(line: str) -> None:
        if line.startswith(f"{first.name}: training job"):
            study.end(first)
            study.begin(late)
        elif line.startswith(f"{late.name}: training job"):
            study.end(late)

    result, _ = stop(study, launch)
    assert result.asked == {first.name: job_of(first), late.name: job_of(late)}
    assert result.waiting == []


def test_one_that_cannot_be_asked_keeps_no_other_from_ending(study: RecordedStudy) -> None:
    """It is told which, and why."""
    barred, other = cell_of(0), cell_of(1)
    for cell in (barred, other):
        study.begin(cell)
        study.say(said_of(cell))
    study.cloud.faults.add("access_denied", operation="s3:GetObject", resource=f"*{barred.name}/remote/*")
    result, _ = stop(study, wait=False)
    assert list(result.asked) == [other.name]
    assert list(result.failed) == [barred.name]
    assert "s3:GetObject" in result.failed[barred.name]


def test_a_study_of_which_nothing_runs(study: RecordedStudy) -> None:
    """There is nothing to do, and the mark is left all the same: launchers may be at work."""
    study.record(cell_of(0))
    result, told = stop(study)
    assert (result.asked, result.waiting) == ({}, [cell_of(0).name])
    assert told == ["no tuner of heights lives"]
    assert study_standing(study.place).stop_mark


def test_one_that_drives_while_a_later_launch_was_refused(study: RecordedStudy) -> None:
    """The newest job has ended, for another one drives the experiment: that is running, and is asked to end."""
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell))
    study.begin(cell, attempt=1)
    study.end(cell, "Failed", "AlgorithmError: ExperimentLocked", attempt=1)
    (standing,) = study_standing(study.place).cells
    assert (standing.state, standing.tuner_job) == ("running", job_of(cell))
    result, _ = stop(study, lambda line: study.end(cell) if "asked to end" in line else None)
    assert result.asked == {cell.name: job_of(cell)}
    assert wish(study, cell) == WISH_STOP


def test_jobs_that_aws_does_not_tell_of_at_first(study: RecordedStudy) -> None:
    """A tuner that is starting is not taken for one that waits to be launched: it is looked again."""
    cell = cell_of(0)
    study.record(cell)
    study.begin(cell, secondary="Pending")
    study.cloud.faults.add("access_denied", operation="sagemaker:ListTrainingJobs", count=1)
    result, told = stop(study, lambda line: study.end(cell, "Stopped") if "asked to end" in line else None)
    assert result.asked == {cell.name: job_of(cell)}
    assert (result.waiting, result.failed) == ([], {})
    assert "tuners' training jobs are not looked at" in told[0]


def test_jobs_that_aws_does_not_tell_of(study: RecordedStudy) -> None:
    """That nothing runs is not said: it is not known."""
    study.record(cell_of(0))
    study.cloud.faults.add("access_denied", operation="sagemaker:ListTrainingJobs")
    result, _ = stop(study, wait=False)
    assert list(result.failed) == ["what is starting of heights"]
    assert "sagemaker:ListTrainingJobs" in result.failed["what is starting of heights"]


def trial_of(study: RecordedStudy, cell: Cell) -> str:
    """Creates the job of a trial; its name."""
    name = f"{cell.name}-abc123-0-0"
    place = f"{study.bucket.uri(study.place.experiment(cell.name))}abc123/"
    request = training_request(name, Environment={"CLOUDTUNE_PLACE": place, "CLOUDTUNE_JOB_ID": "abc123-0-0"})
    tags = {"experiment": cell.name, "tag": cell.tag, "trial": "0", "place": place}
    request["Tags"] = [{"Key": f"cloudtune:{key}", "Value": value} for key, value in tags.items()]
    study.cloud.client("sagemaker").create_training_job(**request)
    study.cloud.job(name).move("Training")
    return name


def test_trials_whose_tuner_was_no_job(study: RecordedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an experiment that ran on some machine, and of which nothing is recorded: they end once its tuner is gone."""
    trial = trial_of(study, cell_of(0))
    result, _ = stop(study, grace=0.0)
    assert result.failed == {
        trial: f"the tuner of {cell_of(0).name} lives, and is no training job: end it with Ctrl-C where it runs"
    }
    monkeypatch.setattr(stopping, "_SILENT", -1.0)

    def end(line: str) -> None:
        if line == f"{trial}: stopped":
            study.cloud.job(trial).finish("Stopped", "Stopped", "")

    result, _ = stop(study, end, grace=0.0)
    assert (result.failed, result.ended) == ({}, [trial])


def test_machines_that_are_kept_are_given_back(study: RecordedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a tuner that has died: kept, they cost on. They are not waited for: the job itself has ended."""
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell))
    study.end(cell, "Failed", "killed")
    trial = trial_of(study, cell)
    found = find_our_jobs(study.bucket.aws)
    kept = replace(found, jobs=[replace(job, is_warm_pool=True) for job in found.jobs])
    monkeypatch.setattr(stopping, "find_our_jobs", lambda _aws: kept)
    given: list[str] = []

    def reap(_aws: Aws, jobs: Collection[OurJob], *_: object, **__: object) -> Reaped:
        given.extend(job.name for job in jobs)
        return Reaped(pools=list(given))

    monkeypatch.setattr(stopping, "reap", reap)
    result, _ = stop(study, grace=0.0)
    assert given == [trial]
    assert (result.ended, result.running) == ([], [])
