"""Describe, stop, update and delete."""

from __future__ import annotations

import pytest

from cloudtune.localcloud.jobs.training_job import TrainingJob
from tests.localcloud.services.small_sagemaker import SmallSagemaker, training_request


def with_pool(sagemaker: SmallSagemaker, status: str = "Available") -> TrainingJob:
    """A completed job that keeps its instances."""
    resources = {**training_request()["ResourceConfig"], "KeepAlivePeriodInSeconds": 600}
    job = sagemaker.create("job", ResourceConfig=resources)
    job.finish("Completed", "Completed", "done", warm_pool={"Status": status})
    return job


def test_describe_tells_the_request_and_the_state(sagemaker: SmallSagemaker) -> None:
    """Everything that was asked for, but for the tags; what was not asked for by AWS's defaults."""
    request = training_request(HyperParameters={"lr": "1"}, Tags=[{"Key": "a", "Value": "b"}])
    request["SessionChainingConfig"] = {"EnableSessionTagChaining": True}
    sagemaker.call("CreateTrainingJob", request)
    told = sagemaker.call("DescribeTrainingJob", TrainingJobName="job")
    for member in set(request) - {"Tags", "SessionChainingConfig"}:
        assert told[member] == request[member]
    assert not {"Tags", "SessionChainingConfig", "FailureReason", "TrainingEndTime"} & set(told)
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("InProgress", "Starting")
    assert told["EnableManagedSpotTraining"] is False
    assert told["ProfilingStatus"] == "Disabled"


def test_a_stop_is_passed_on_once(sagemaker: SmallSagemaker) -> None:
    """Stopping a job that is stopping is accepted, and nothing more happens."""
    job = sagemaker.create()
    for _ in range(3):
        assert sagemaker.call("StopTrainingJob", TrainingJobName="job") == {}
    assert sagemaker.stopped == [job]
    assert (job.status, job.state.secondary) == ("Stopping", "Stopping")


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_a_job_that_has_ended_cannot_be_stopped(sagemaker: SmallSagemaker, status: str) -> None:
    """With AWS's text, and the record stays."""
    job = sagemaker.create()
    job.finish(status, status, "over")
    error = sagemaker.refused("StopTrainingJob", TrainingJobName="job")
    assert error.code == "ValidationException"
    assert error.message == f"The request was rejected because the training job is in status {status}."
    assert not sagemaker.stopped


def test_a_warm_pool_lives_as_long_as_said_last(sagemaker: SmallSagemaker) -> None:
    """The pools are told after the record has the new time; what else was asked for stays."""
    job = with_pool(sagemaker)
    sagemaker.pass_time()
    answer = sagemaker.call("UpdateTrainingJob", TrainingJobName="job", ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    assert answer == {"TrainingJobArn": job.arn}
    assert sagemaker.updated == [job]
    assert job.keep_alive_seconds == 60
    assert job.instance_type == "ml.g4dn.xlarge"
    assert job.state.since == sagemaker.clock.time()
    assert job.status == "Completed"


@pytest.mark.parametrize("status", ["Reused", "Terminated", "InUse"])
def test_a_warm_pool_that_is_not_available_cannot_be_changed(sagemaker: SmallSagemaker, status: str) -> None:
    """Whatever else happened to it."""
    job = with_pool(sagemaker, status)
    error = sagemaker.refused(
        "UpdateTrainingJob", TrainingJobName="job", ResourceConfig={"KeepAlivePeriodInSeconds": 60}
    )
    assert error.code == "ValidationException"
    assert status in error.message
    assert job.keep_alive_seconds == 600


def test_a_warm_pool_cannot_be_kept_longer_than_aws_allows(sagemaker: SmallSagemaker) -> None:
    """The limit is that of CreateTrainingJob."""
    with_pool(sagemaker)
    changes = {"KeepAlivePeriodInSeconds": 3601}
    assert "3601" in sagemaker.refused("UpdateTrainingJob", TrainingJobName="job", ResourceConfig=changes).message


def test_profiling_and_debugging_can_be_switched_while_a_job_runs(sagemaker: SmallSagemaker) -> None:
    """What was switched is described; once the job has ended it is refused."""
    job = sagemaker.create()
    job.move("Training")
    sagemaker.call(
        "UpdateTrainingJob",
        TrainingJobName="job",
        ProfilerConfig={"S3OutputPath": "s3://bucket/profile", "DisableProfiler": False},
        RemoteDebugConfig={"EnableRemoteDebug": True},
    )
    told = sagemaker.call("DescribeTrainingJob", TrainingJobName="job")
    assert told["ProfilerConfig"]["S3OutputPath"] == "s3://bucket/profile"
    assert told["ProfilingStatus"] == "Enabled"
    assert told["RemoteDebugConfig"] == {"EnableRemoteDebug": True}
    job.finish("Completed", "Completed", "done")
    changes = {"ProfilerConfig": {"DisableProfiler": True}}
    assert "in status Completed" in sagemaker.refused("UpdateTrainingJob", TrainingJobName="job", **changes).message


def test_a_deleted_job_frees_its_name(sagemaker: SmallSagemaker) -> None:
    """Only jobs that have ended can go."""
    job = sagemaker.create()
    assert sagemaker.refused("DeleteTrainingJob", TrainingJobName="job").code == "ResourceInUse"
    job.finish("Failed", "Failed", "over")
    assert sagemaker.call("DeleteTrainingJob", TrainingJobName="job") == {}
    assert sagemaker.refused("DescribeTrainingJob", TrainingJobName="job").message == "Requested resource not found."
    assert sagemaker.create() is not job


@pytest.mark.parametrize(("status", "goes"), [("Available", False), ("InUse", False), ("Reused", True)])
def test_a_job_stays_while_its_warm_pool_does(sagemaker: SmallSagemaker, status: str, goes: bool) -> None:
    """A pool that another job took over, or that ended, does not keep the record."""
    with_pool(sagemaker, status)
    if goes:
        assert sagemaker.call("DeleteTrainingJob", TrainingJobName="job") == {}
    else:
        assert sagemaker.refused("DeleteTrainingJob", TrainingJobName="job").code == "ResourceInUse"
