"""Why the tuner's job is told to end, found out from S3 and SageMaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.tuner_job import TunerPlace
from tests.remote.remote_experiment import wait_until
from tests.remote.test_tuner_job import make_request


def running(aws: Aws, place: TunerPlace, folder: Path, **members: Any) -> OwnJob:
    """A job that runs, and does not heed SIGTERM."""
    script = folder / "script.py"
    script.write_text("pass")
    request = make_request(aws, place, script, **members)
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["sh", "-c", "trap '' TERM; sleep 1000 & wait; wait"]
    TrainingJobs(aws).create(request)
    return OwnJob(aws, place, 0, request["TrainingJobName"])


@pytest.fixture
def job(aws: Aws, place: TunerPlace, tmp_path: Path) -> OwnJob:
    """A job that runs."""
    return running(aws, place, tmp_path)


def test_a_machine_that_is_taken_away(job: OwnJob) -> None:
    """The job is in progress all the same: it will run again."""
    assert not job.ends_for_good()
    assert "taken away" in job.why


def test_a_job_that_is_stopped(job: OwnJob) -> None:
    """StopTrainingJob ends it for good. What was found out first stays true."""
    TrainingJobs(job.aws).stop(job.name)
    assert job.ends_for_good()
    assert not job.time_is_over
    assert job.why == "the job is being stopped"
    assert job.ends_for_good()


def test_a_job_whose_time_is_over(aws: Aws, place: TunerPlace, tmp_path: Path, local_cloud: LocalCloud) -> None:
    """SIGTERM comes as ever; that the job has run for as long as it may tells why."""
    job = running(aws, place, tmp_path, max_run=3)
    wait_until(lambda: any(time.passed >= 3 for time in job.times()), "the end of its time")
    assert job.ends_for_good()
    assert job.time_is_over


def test_a_spot_job_that_was_there_for_as_long_as_it_may_be(
    aws: Aws, place: TunerPlace, tmp_path: Path, local_cloud: LocalCloud
) -> None:
    """With the wait for its machine it has reached max_wait, though not max_run."""
    local_cloud.faults.add(Fault("slow_start", seconds=5))
    job = running(aws, place, tmp_path, use_spot=True, max_run=8, max_wait=8)
    wait_until(lambda: any(time.passed >= 8 for time in job.times()), "the end of its time")
    passed, waited = job.times()
    assert (passed.limit, waited.limit) == (8, 8)
    assert passed.passed < 5 < 8 <= waited.passed
    assert job.ends_for_good()
    assert job.time_is_over


def test_a_wish_counts_before_all_else(job: OwnJob) -> None:
    """The job still is in progress when its agent tells the tuner to end because somebody wished it."""
    job.place.put_wish(0, "stop")
    assert job.ends_for_good()
    assert job.wish == "stop"


def test_where_nobody_can_tell_the_job_ends_for_good(job: OwnJob, local_cloud: LocalCloud) -> None:
    """Its trials then are paused rather than left to themselves."""
    local_cloud.faults.add(Fault("access_denied", operation="sagemaker:DescribeTrainingJob"))
    assert job.ends_for_good()
    assert "nobody can tell" in job.why


@pytest.mark.timeout(40)
@pytest.mark.parametrize("operation", ["sagemaker:DescribeTrainingJob", "s3:GetObject"])
def test_an_answer_that_does_not_come_is_not_waited_for(job: OwnJob, local_cloud: LocalCloud, operation: str) -> None:
    """Trials are told to end in time, whatever AWS does; so it is when it does not tell how old the job is."""
    local_cloud.faults.add(Fault("slow_answer", operation=operation, seconds=55))
    assert job.ends_for_good()
    assert "nobody can tell" in job.why
    if operation.startswith("sagemaker"):
        assert job.times(0.2) == []
