"""Training jobs through the local cloud's SageMaker."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaReached,
    ServiceFailure,
    Throttled,
    Unreachable,
)
from cloudtune.aws.logs import JobLogs
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.errors import Fenced
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import training_request, wait_until

SLEEPER = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('ready', flush=True); "
    "signal.pause()"
)


@pytest.fixture
def jobs(aws: Aws, bucket: Bucket) -> TrainingJobs:
    """Training jobs; their bucket for output is there."""
    return TrainingJobs(aws)


def test_a_job_is_described_as_it_was_asked_for_and_as_it_ended(jobs: TrainingJobs, local_cloud: LocalCloud) -> None:
    """One plain object holds what the backend wants to know: outcome, reason, instance, bill, environment."""
    jobs.create(training_request("job-a", "import sys; sys.exit(3)", Environment={"A": "b"}))
    local_cloud.wait_for_job("job-a")
    state = jobs.describe("job-a")
    assert (state.name, state.status, state.is_terminal) == ("job-a", "Failed", True)
    assert state.arn.endswith(":training-job/job-a")
    assert "exit code: 3" in state.failure_reason
    assert (state.instance_type, state.instance_count, state.max_run) == ("ml.m5.large", 1, 3600)
    assert (state.environment, state.is_spot, state.warm_pool) == ({"A": "b"}, False, None)
    assert state.billable_seconds is not None
    assert state.training_seconds is not None
    assert state.ended is not None
    assert state.created <= state.ended
    assert pickle.loads(pickle.dumps(state)) == state


@pytest.mark.parametrize("why", ["no data", "no program", ""])
def test_whether_a_container_has_run(jobs: TrainingJobs, local_cloud: LocalCloud, why: str) -> None:
    """Of a job that failed before its container began, or because it could not begin, there is no log to wait for."""
    request = training_request("job-a", "raise SystemExit(1)")
    if why == "no data":
        source = {"S3DataType": "S3Prefix", "S3Uri": "s3://no-such-bucket/data"}
        request["InputDataConfig"] = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    elif why == "no program":
        request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["/no/such/program"]
    jobs.create(request)
    local_cloud.wait_for_job("job-a")
    state = jobs.describe("job-a")
    assert (state.status, state.has_run) == ("Failed", not why)


def test_a_running_job_has_no_end_yet(jobs: TrainingJobs) -> None:
    """What AWS does not tell yet is None, not zero."""
    jobs.create(training_request("job-a", SLEEPER))
    state = jobs.describe("job-a")
    assert (state.status, state.is_terminal, state.ended) == ("InProgress", False, None)


def test_a_spot_job_of_instance_groups_is_described(jobs: TrainingJobs) -> None:
    """Groups of instances take the place of one type: the first names the type, all count."""
    groups = [
        {"InstanceGroupName": "a", "InstanceType": "ml.g4dn.xlarge", "InstanceCount": 2},
        {"InstanceGroupName": "b", "InstanceType": "ml.m5.large", "InstanceCount": 1},
    ]
    jobs.create(
        training_request(
            "job-a",
            SLEEPER,
            ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1},
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        )
    )
    state = jobs.describe("job-a")
    assert (state.instance_type, state.instance_count, state.is_spot) == ("ml.g4dn.xlarge", 3, True)


def test_a_name_that_does_not_exist_is_not_found(jobs: TrainingJobs) -> None:
    """SageMaker says so with the code of any wrong request; we say which it is."""
    with pytest.raises(NotFound, match="sagemaker:DescribeTrainingJob of nobody") as caught:
        jobs.describe("nobody")
    assert caught.value.operation == "sagemaker:DescribeTrainingJob"
    with pytest.raises(NotFound):
        jobs.stop("nobody")


def test_a_wrong_request_is_no_absent_thing(jobs: TrainingJobs) -> None:
    """A request that AWS, or botocore before it, finds wrong is the user's to correct."""
    with pytest.raises(InvalidRequest, match=r"ml\.nonexist"):
        jobs.create(training_request("job-a", ResourceConfig={"InstanceType": "ml.nonexist", "InstanceCount": 1}))
    with pytest.raises(InvalidRequest, match="TrainingJobName"):
        jobs.create({"RoleArn": "role"})


def test_a_taken_name_is_a_conflict(jobs: TrainingJobs) -> None:
    """The caller compares whose job it is, and takes the next attempt number if it is another's."""
    jobs.create(training_request("job-a", SLEEPER))
    with pytest.raises(Conflict, match="job-a") as caught:
        jobs.create(training_request("job-a", SLEEPER))
    assert caught.value.code == "ResourceInUse"


def test_a_reached_quota_is_told_at_once(jobs: TrainingJobs, faults: CloudFaults, local_cloud: LocalCloud) -> None:
    """Instances become free in minutes: waiting for that belongs to the backend's queue, not into a call."""
    faults.add("resource_limit", operation="sagemaker:CreateTrainingJob")
    with pytest.raises(QuotaReached, match=r"ml\.m5\.large"):
        jobs.create(training_request("job-a"), patience=60)
    assert local_cloud.call_counts()["sagemaker:CreateTrainingJob"] == 1


def test_a_refused_create_is_told_at_once_unless_patience_is_asked_for(
    jobs: TrainingJobs, faults: CloudFaults, local_cloud: LocalCloud
) -> None:
    """The queue of jobs to start goes on with other work; who wants to wait says so."""
    faults.add("throttle", operation="sagemaker:CreateTrainingJob", count=3)
    with pytest.raises(Throttled):
        jobs.create(training_request("job-a"))
    assert local_cloud.call_counts()["sagemaker:CreateTrainingJob"] == 1
    jobs.create(training_request("job-a"), patience=60)
    assert local_cloud.call_counts()["sagemaker:CreateTrainingJob"] == 4


def test_a_job_whose_create_was_not_answered_meets_itself(jobs: TrainingJobs, faults: CloudFaults) -> None:
    """After a lost answer the repeated create is a conflict with our own job, which its environment tells."""
    faults.add("answer_lost", operation="sagemaker:CreateTrainingJob", count=1)
    with pytest.raises(Conflict):
        jobs.create(training_request("job-a", SLEEPER, Environment={"ID": "7"}), patience=60)
    assert jobs.describe("job-a").environment == {"ID": "7"}


def test_stop_ends_a_job_and_then_has_nothing_to_do(aws: Aws, jobs: TrainingJobs, local_cloud: LocalCloud) -> None:
    """True while there was something to stop; False once the job has ended, which is no error."""
    jobs.create(training_request("job-a", SLEEPER))
    # The first process of a container hears of no SIGTERM that it does not handle yet.
    wait_until(lambda: "ready" in JobLogs(aws).text("job-a"))
    assert jobs.stop("job-a")
    assert jobs.stop("job-a") in (True, False)  # it may have ended by now
    local_cloud.wait_for_job("job-a")
    assert jobs.describe("job-a").status == "Stopped"
    assert not jobs.stop("job-a")


def test_nothing_is_changed_without_a_confirmation(
    aws: Aws, jobs: TrainingJobs, local_cloud: LocalCloud, faults: CloudFaults
) -> None:
    """It is asked for before each try; without an answer nothing is created, and jobs are stopped all the same."""
    answers: list[Exception | None] = []

    def confirm() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    careful = TrainingJobs(aws, confirm=confirm)
    for refusal in (Fenced("another drives"), Unreachable("no answer")):
        answers[:] = [refusal]
        with pytest.raises(type(refusal)):
            careful.create(training_request("job-a", SLEEPER))
    assert local_cloud.jobs() == []
    faults.add("throttle", operation="sagemaker:CreateTrainingJob", count=1)
    answers[:] = [None, Fenced("another drives")]
    with pytest.raises(Fenced):
        careful.create(training_request("job-a", SLEEPER), patience=60)
    assert (answers, local_cloud.jobs()) == ([], [])
    jobs.create(training_request("job-a", SLEEPER))
    answers[:] = [Fenced("another drives"), Unreachable("no answer")]
    with pytest.raises(Fenced):
        careful.stop("job-a")
    assert not jobs.describe("job-a").is_terminal
    careful.stop("job-a")
    assert local_cloud.wait_for_job("job-a")["status"] == "Stopped"


@pytest.mark.defect("R11")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [("throttle", Throttled), ("access_denied", AccessDenied), ("internal_error", ServiceFailure)],
)
def test_a_stop_that_failed_is_never_taken_for_an_ended_job(
    jobs: TrainingJobs, faults: CloudFaults, fault: str, expected: type[Exception]
) -> None:
    """A job that goes on costs money: only the job itself tells that it has ended."""
    jobs.create(training_request("job-a", SLEEPER))
    faults.add(fault, operation="sagemaker:StopTrainingJob")
    with pytest.raises(expected):
        jobs.stop("job-a", patience=0)
    assert not jobs.describe("job-a").is_terminal


def test_a_wrong_stop_is_not_taken_for_an_ended_job(jobs: TrainingJobs) -> None:
    """SageMaker refuses it with the same code as the stop of a job that has ended."""
    with pytest.raises(InvalidRequest):
        jobs.stop("no name, no job")


def test_a_refused_stop_of_a_job_that_is_being_stopped_is_no_error(
    jobs: TrainingJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether AWS takes a second stop, of the console or of an earlier tuner, does not matter."""
    jobs.create(training_request("job-a", "import signal; signal.signal(signal.SIGTERM, print); signal.pause()"))
    assert jobs.stop("job-a")
    call = jobs.aws.call

    def refusing(service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "stop_training_job":
            raise InvalidRequest("the job is in status Stopping")
        answer = call(service, operation, **params)
        return {**answer, "TrainingJobStatus": "Stopping"}

    monkeypatch.setattr(jobs.aws, "call", refusing)
    assert jobs.stop("job-a")


def test_a_stop_is_repeated_until_it_is_admitted(
    jobs: TrainingJobs, faults: CloudFaults, local_cloud: LocalCloud
) -> None:
    """Throttling, failures of AWS and lost connections delay a stop; they do not lose it."""
    jobs.create(training_request("job-a", SLEEPER))
    wait_until(lambda: jobs.describe("job-a").secondary == "Training")
    for fault in ("throttle", "internal_error", "request_lost"):
        faults.add(fault, operation="sagemaker:StopTrainingJob", count=1)
    assert jobs.stop("job-a")
    assert local_cloud.wait_for_job("job-a")["status"] == "Stopped"


def test_all_pages_are_read_a_hundred_at_a_time() -> None:
    """205 jobs are three calls, oldest first; only those whose name contains the text, in the status asked for."""
    with LocalCloud(max_running_jobs=1, stop_grace=0.1) as cloud, cloud.activate():
        jobs = TrainingJobs(Aws(budget=RateBudget({})))
        jobs.aws.call("s3", "create_bucket", Bucket="data")
        for number in range(205):
            jobs.create(training_request(f"many-{number:03}", SLEEPER))
        jobs.create(training_request("other", SLEEPER))
        found = jobs.list("many-")
        assert [job.name for job in found] == [f"many-{number:03}" for number in range(205)]
        assert cloud.call_counts()["sagemaker:ListTrainingJobs"] == 3
        assert not any(job.is_terminal for job in found)
        assert jobs.list("many-", status="Completed") == []
        assert len(jobs.list("")) == 206


def warm(jobs: TrainingJobs, local_cloud: LocalCloud, name: str) -> JobState:
    """A job that has ended and keeps its instances."""
    resources = {**training_request(name)["ResourceConfig"], "KeepAlivePeriodInSeconds": 600}
    jobs.create(training_request(name, ResourceConfig=resources))
    local_cloud.wait_for_job(name)
    return jobs.describe(name)


def test_a_warm_pool_is_given_back_once(jobs: TrainingJobs, local_cloud: LocalCloud) -> None:
    """Kept instances are paid for until they are given back; there is nothing to give back a second time."""
    local_cloud.set_quota("ml.m5.large for training warm pool usage", 5)
    state = warm(jobs, local_cloud, "job-a")
    assert state.warm_pool is not None
    assert (state.warm_pool.status, state.warm_pool.reused_by) == ("Available", None)
    assert [job.warm_pool.status for job in jobs.list("job-a") if job.warm_pool] == ["Available"]
    assert jobs.end_warm_pool("job-a")
    wait_until(lambda: (pool := jobs.describe("job-a").warm_pool) is not None and pool.status == "Terminated")
    assert not jobs.end_warm_pool("job-a")
    jobs.create(training_request("cold", SLEEPER))
    assert not jobs.end_warm_pool("cold")


def test_a_warm_pool_that_cannot_be_given_back_is_told(
    jobs: TrainingJobs, local_cloud: LocalCloud, faults: CloudFaults
) -> None:
    """Instances that go on costing are never taken for gone."""
    local_cloud.set_quota("ml.m5.large for training warm pool usage", 5)
    warm(jobs, local_cloud, "job-a")
    faults.add("access_denied", operation="sagemaker:UpdateTrainingJob")
    with pytest.raises(AccessDenied):
        jobs.end_warm_pool("job-a")
