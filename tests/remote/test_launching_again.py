"""What a launch without the script takes over from the one before, and what it changes."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from cloudtune import StoppingCriterion
from cloudtune.errors import ExperimentLocked, ExperimentNotFound
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.remote.changes import change, changes_of, longest_time
from cloudtune.remote.launches import newest_launch, why_failed
from cloudtune.remote.relaunching import NextJob, NothingToContinue, launch_again
from cloudtune.remote.time_limit import LONGEST_JOB, MARGIN
from cloudtune.remote.tuner_job import MANIFEST, PICKLE
from cloudtune.remote.unpacking import CannotLoad
from tests.aws.job_states import job_state
from tests.experiments.in_s3 import header
from tests.experiments.recorded import trial
from tests.remote.test_following import NAME, Remote, finish, remote
from tests.virtual_machine import Machine, Program
from tests.virtual_tuner import make_tuner

__all__ = ["remote"]


def test_changes_travel_as_plain_data() -> None:
    """Only what was given changes; limits replace the old ones, all together."""
    tuner = make_tuner(Machine(Program(lambda _config, _level: 1.0)))
    before = tuner.stop_criterion
    change(tuner, changes_of())
    assert tuner.stop_criterion is before
    changes = changes_of(StoppingCriterion(max_wallclock_time=50.0, max_cost=2), n_workers=7, max_failures=0)
    change(tuner, changes)
    assert tuner.stop_criterion == StoppingCriterion(max_wallclock_time=50.0, max_cost=2)
    assert (tuner.n_workers, tuner.max_failures) == (7, 0)
    assert longest_time(changes, 9.0) == 50.0
    assert longest_time(changes_of(StoppingCriterion(max_cost=1)), 9.0) is None
    assert longest_time(changes_of(n_workers=2), 9.0) == 9.0
    assert longest_time(changes, 9.0, last_trials=5.0) == 55.0
    assert longest_time(changes, 9.0, last_trials=None) is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "SageMaker gives no reason"),
        ("ClientError: no such image.", "ClientError: no such image"),
        ("AlgorithmError: exit code 1\nTraceback\nValueError: no, exit code: 1", "ValueError: no"),
        ("AlgorithmError: the disk is full, exit code: 1\n", "the disk is full"),
    ],
)
def test_why_a_tuners_job_failed(said: str, told: str) -> None:
    """The last line that its program wrote, without what SageMaker puts around it."""
    assert why_failed(job_state("Failed", failure_reason=said)) == told


def ship(remote: Remote, launch: int, pickle: bytes, intact: bool = True) -> None:
    """Puts what a launch has shipped."""
    folder = remote.place.keys.task_folder(0, launch)
    manifest = {"tuner": hashlib.sha256(pickle).hexdigest()}
    remote.place.bucket.put(folder + MANIFEST, json.dumps(manifest).encode())
    remote.place.bucket.put(folder + PICKLE, pickle if intact else pickle[:-1])


def described(remote: Remote, name: str) -> dict[str, Any]:
    """A training job."""
    answer: dict[str, Any] = remote.cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
    return answer


def test_what_cannot_be_launched_again(remote: Remote) -> None:
    """An experiment that runs, that has reached its end, or that has never been in a job."""
    remote.open(header(NAME), trial(0, lr=0.1), launch=None)
    experiment = find_in_s3(NAME, "s3://experiments", remote.aws)
    with pytest.raises(ExperimentNotFound, match="launch it again by its script"):
        launch_again(experiment, {})
    remote.close(finish("finished"))
    job = remote.launch()
    with pytest.raises(ExperimentLocked, match=f"runs already, as training job {job}"):
        launch_again(experiment, {})
    remote.end()
    remote.cloud.wait_for_job(job)
    with pytest.raises(NothingToContinue, match=r"has ended \(enough is enough\): widen a limit"):
        launch_again(experiment, {})
    remote.open(launch=None)
    with pytest.raises(ExperimentLocked, match="is driven by pid"):
        launch_again(experiment, changes_of(n_workers=2))
    remote.close()


@pytest.mark.parametrize("last_trials", [0.0, 1800.0])
def test_the_next_job_is_like_the_last(remote: Remote, last_trials: float) -> None:
    """Its request, its task and what was shipped; it has the time that a wider limit and the last trials need."""
    remote.open(header(NAME), trial(0, lr=0.1))
    first = remote.launch(last_trials=last_trials)
    ship(remote, 0, b"pickle")
    remote.close(finish("finished"))
    remote.end()
    remote.cloud.wait_for_job(first)
    experiment = find_in_s3(NAME, "s3://experiments", remote.aws)
    changes = changes_of(StoppingCriterion(max_wallclock_time=7200.0))
    admitted: list[NextJob] = []

    def admit(job: NextJob) -> AbstractContextManager[object]:
        admitted.append(job)
        return nullcontext()

    second = launch_again(experiment, changes, admit)
    # 3 seconds are over
    assert [(job.max_run, job.needed) for job in admitted] == [(7200 + last_trials + MARGIN, 7197.0 + last_trials)]
    newest = newest_launch(remote.place)
    assert newest is not None
    assert (newest[0], newest[1].name) == (1, second)
    before, after = described(remote, first), described(remote, second)
    for member in ("RoleArn", "AlgorithmSpecification", "ResourceConfig", "OutputDataConfig"):
        assert after[member] == before[member]
    channel = after["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert channel == remote.place.bucket.uri(remote.place.keys.task_folder(0, 1))
    assert before["StoppingCondition"]["MaxRuntimeInSeconds"] == 3600
    assert after["StoppingCondition"]["MaxRuntimeInSeconds"] == 7200 + last_trials + MARGIN <= LONGEST_JOB
    folder = remote.place.keys.task_folder(0, 1)
    got = remote.place.bucket.get(folder + "tuner.dill")
    assert got is not None
    assert got.body == b"pickle"
    task = remote.place.bucket.get(folder + "task.json")
    assert task is not None
    assert b'"max_wallclock_time": 7200.0' in task.body
    remote.end(1)


def test_a_damaged_pickle_is_not_launched_again(remote: Remote, caplog: pytest.LogCaptureFixture) -> None:
    """That of the launch before is, by a job like its own; where all are damaged no job is created."""
    caplog.set_level(logging.WARNING, "cloudtune")
    remote.open(header(NAME), trial(0, lr=0.1))
    first = remote.launch(0)
    ship(remote, 0, b"the first")
    remote.end(0)
    remote.cloud.wait_for_job(first)
    second = remote.launch(1)
    ship(remote, 1, b"the second", intact=False)
    remote.close(finish("interrupted"))
    remote.end(1)
    remote.cloud.wait_for_job(second)
    experiment = find_in_s3(NAME, "s3://experiments", remote.aws)
    third = launch_again(experiment, {})
    folder = remote.place.keys.task_folder(0, 2)
    assert remote.place.bucket.get(folder + PICKLE).body == b"the first"  # type: ignore[union-attr]
    pickle = remote.place.bucket.uri(remote.place.keys.task_folder(0, 1) + PICKLE)
    assert f"{pickle} was changed or damaged after it was uploaded" in caplog.text
    assert "what launch 0 has shipped is taken instead, and the log" in caplog.text
    remote.end(2)
    remote.cloud.wait_for_job(third)
    for launch in (0, 2):
        remote.place.bucket.put(remote.place.keys.task_folder(0, launch) + MANIFEST, b"{")
    before = len(remote.cloud.jobs())
    with pytest.raises(
        CannotLoad, match=r"tuner\.dill was changed or damaged .*; run the script that launched it again"
    ):
        launch_again(experiment, {})
    assert len(remote.cloud.jobs()) == before
