"""Ending a tuner's job that hears nothing, and one that has not begun."""

from __future__ import annotations

import json

import pytest

from cloudtune.agent import protocol
from cloudtune.errors import ExperimentLocked
from cloudtune.experiments.s3_finding import S3Experiment, find_in_s3
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.remote.stopping import Stopping
from tests.aws.conftest import wait_until
from tests.experiments.in_s3 import header
from tests.experiments.recorded import trial
from tests.remote.test_following import NAME, Remote, remote

__all__ = ["remote"]


def found(remote: Remote) -> S3Experiment:
    """The experiment, by its name."""
    return find_in_s3(NAME, "s3://experiments", remote.aws)


def wishes(remote: Remote) -> dict[str, str]:
    """What somebody has wished of the tuner's jobs."""
    got = remote.place.bucket.get(remote.place.keys.life)
    assert got is not None
    told: dict[str, str] = json.loads(got.body)["wishes"]
    return told


def test_a_tuner_that_does_not_hear(remote: Remote) -> None:
    """It is asked through S3 first; after its grace SageMaker stops it."""
    job = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))
    told: list[str] = []
    result = Stopping(found(remote), leave_trials=False, grace=0.5, tell=told.append, interval=0.1).run()
    assert (result.job, result.job_status, result.running) == (job, "Stopped", [])
    assert wishes(remote) == {"0-0": protocol.WISH_STOP}
    assert f"training job {job}, which runs the tuner, is asked to end" in told
    assert f"{job}: it does not end; stopping it" in told
    assert any(text.startswith(f"{job}: Stopped; 0 jobs of trials run") for text in told)
    remote.close()


def test_without_waiting(remote: Remote) -> None:
    """The wish is put, and that is all; to leave the trials is another wish."""
    job = remote.launch()
    remote.open(header(NAME), trial(0, lr=0.1))
    state = remote.cloud.client("sagemaker").describe_training_job
    wait_until(lambda: state(TrainingJobName=job)["SecondaryStatus"] == "Training", "the job's container")
    result = Stopping(found(remote), leave_trials=True, grace=60.0, tell=lambda _: None).run(wait=False)
    assert (result.job, result.job_status) == (job, "InProgress")
    assert wishes(remote) == {"0-0": protocol.WISH_PAUSE}
    assert state(TrainingJobName=job)["TrainingJobStatus"] == "InProgress"
    remote.close()


def test_a_job_that_has_not_begun(remote: Remote, faults: CloudFaults) -> None:
    """Nobody there could hear a wish: SageMaker is asked at once."""
    faults.add("slow_start", seconds=1000)
    job = remote.launch()
    told: list[str] = []
    result = Stopping(found(remote), leave_trials=False, grace=600.0, tell=told.append, interval=0.1).run()
    assert (result.job, result.job_status) == (job, "Stopped")


@pytest.mark.parametrize("launches", [0, 2])
def test_the_newest_launch_counts(remote: Remote, launches: int) -> None:
    """Earlier jobs have ended, and where none lives nothing is asked of any."""
    for launch in range(launches):
        remote.launch(launch)
    if launches:
        remote.end(0)
        remote.cloud.wait_for_job(remote.place.job_name(NAME, 0))
    else:
        remote.open(header(NAME))
        remote.close()
    told: list[str] = []
    result = Stopping(found(remote), leave_trials=False, grace=0.0, tell=told.append, interval=0.1).run()
    assert result.job == (remote.place.job_name(NAME, 1) if launches else None)
    if not launches:
        assert told == [f"no tuner of {NAME} lives"]


@pytest.mark.parametrize("lives", [True, False])
def test_a_launch_that_was_refused_for_an_earlier_one(remote: Remote, lives: bool) -> None:
    """The job that drives the experiment is asked, though it is not of the newest launch; one that has died is not."""
    first = remote.launch(0)
    remote.open(header(NAME), trial(0, lr=0.1))
    remote.launch(1)
    for launch in (1,) if lives else (0, 1):
        remote.end(launch)
        remote.cloud.wait_for_job(remote.place.job_name(NAME, launch))
    result = Stopping(found(remote), leave_trials=False, grace=0.5, tell=lambda _: None, interval=0.1).run()
    assert (result.job, result.job_status) == ((first, "Stopped") if lives else (None, ""))
    assert wishes(remote) == ({"0-0": protocol.WISH_STOP} if lives else {})
    remote.close()


def test_a_tuner_of_another_region(remote: Remote) -> None:
    """Its job is not to be found here: what is missing is where it runs."""
    remote.open(header(NAME), trial(0, lr=0.1))
    with pytest.raises(
        ExperimentLocked, match=r"job digits-tuning-0-0, .* no such job in us-east-1: name its region with --reg"
    ):
        Stopping(found(remote), leave_trials=False, grace=0.5, tell=lambda _: None, interval=0.1).run()
    remote.close()
