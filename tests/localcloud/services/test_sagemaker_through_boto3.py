"""Training jobs as boto3 sees them, through the gate."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.localcloud.services.validation import sagemaker_model
from tests.localcloud.services.small_sagemaker import training_request

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
    "timestamp": (dt.datetime, float),
}


@pytest.fixture
def cloud() -> Iterator[InProcessCloud]:
    """A cloud in this process, whose jobs the tests move."""
    with InProcessCloud() as opened:
        yield opened


def assert_of_shape(value: Any, shape: Any, path: str = "answer") -> None:
    """Every member is known to the model and of its type."""
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), path
        for name, entry in value.items():
            assert_of_shape(entry, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for entry in value:
            assert_of_shape(entry, shape.member, f"{path}[]")
    elif shape.type_name == "map":
        for key, entry in value.items():
            assert_of_shape(key, shape.key, f"{path} key")
            assert_of_shape(entry, shape.value, f"{path}.{key}")
    else:
        assert isinstance(value, TYPES[shape.type_name]), path
        assert not shape.metadata.get("enum") or value in shape.metadata["enum"], path


def full_job(cloud: InProcessCloud) -> Any:
    """A job that has been through everything, so that its description has every member that we tell."""
    sagemaker = cloud.client("sagemaker")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in"}
    request = training_request(
        "job-a",
        HyperParameters={"lr": "0.1"},
        Environment={"A": "b"},
        Tags=[{"Key": "study", "Value": "one"}],
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        CheckpointConfig={"S3Uri": "s3://bucket/checkpoints"},
        RetryStrategy={"MaximumRetryAttempts": 2},
        VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        ProfilerConfig={"DisableProfiler": True},
        SessionChainingConfig={"EnableSessionTagChaining": True},
    )
    assert sagemaker.create_training_job(**request)["TrainingJobArn"].endswith(":training-job/job-a")
    job = cloud.job("job-a")
    job.move("Downloading")
    job.move("Training", training_start=job.created)
    job.record_metric("loss", 0.5, job.created)
    job.finish(
        "Failed",
        "Failed",
        "over",
        "AlgorithmError: x",
        training_seconds=3,
        billable_seconds=3,
        model_artifacts="s3://bucket/out/job-a/output/model.tar.gz",
        warm_pool={"Status": "Reused", "ReusedByJob": "job-b", "ResourceRetainedBillableTimeInSeconds": 5},
    )
    return sagemaker


def test_answers_have_only_what_the_model_knows_with_the_right_types(cloud: InProcessCloud) -> None:
    """Read from what went over the wire, before boto3 drops what it does not know, and as boto3 gives it."""
    sagemaker = full_job(cloud)
    wire: dict[str, Any] = {}
    sagemaker.meta.events.register("before-parse.sagemaker", lambda response_dict, **_: wire.update(response_dict))
    arn = cloud.job("job-a").arn
    calls: dict[str, dict[str, Any]] = {
        "DescribeTrainingJob": {"TrainingJobName": "job-a"},
        "ListTrainingJobs": {},
        "Search": {"Resource": "TrainingJob"},
        "ListTags": {"ResourceArn": arn},
        "AddTags": {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]},
    }
    for operation, params in calls.items():
        shape = sagemaker_model().operation_model(operation).output_shape
        assert shape is not None
        answer = sagemaker._make_api_call(operation, params)
        answer.pop("ResponseMetadata")
        sent = json.loads(wire["body"])
        assert answer.keys() == sent.keys() != set()
        assert_of_shape(answer, shape, operation)
        assert_of_shape(sent, shape, operation)


def test_the_whole_record_is_described(cloud: InProcessCloud) -> None:
    """Also what only a job has that came to its end."""
    told = full_job(cloud).describe_training_job(TrainingJobName="job-a")
    assert told["FailureReason"] == "AlgorithmError: x"
    assert told["FinalMetricDataList"][0]["MetricName"] == "loss"
    assert told["BillableTimeInSeconds"] == 3
    assert told["WarmPoolStatus"]["ReusedByJob"] == "job-b"
    assert [row["Status"] for row in told["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Failed",
    ]
    assert told["CreationTime"].tzinfo is not None


def test_errors_reach_the_client_as_aws_gives_them(cloud: InProcessCloud) -> None:
    """As exceptions that boto3 has classes for, after a single try."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(**training_request("job"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="training job with this name already exists"):
        sagemaker.create_training_job(**training_request("job"))
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.delete_training_job(TrainingJobName="other")
    with pytest.raises(ClientError, match="Requested resource not found") as refusal:
        sagemaker.describe_training_job(TrainingJobName="other")
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert refusal.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_the_waiter_waits_for_the_end(cloud: InProcessCloud) -> None:
    """It returns for a job that completed or was stopped, and raises for one that failed."""
    sagemaker = cloud.client("sagemaker")
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    quickly = {"Delay": 0, "MaxAttempts": 3}
    for status in ("Completed", "Stopped", "Failed", "InProgress"):
        sagemaker.create_training_job(**training_request(status))
        if status != "InProgress":
            cloud.job(status).finish(status, status, "over")
        if status in {"Completed", "Stopped"}:
            waiter.wait(TrainingJobName=status, WaiterConfig=quickly)
        else:
            with pytest.raises(WaiterError):
                waiter.wait(TrainingJobName=status, WaiterConfig=quickly)


def test_paginators_see_every_job_once(cloud: InProcessCloud) -> None:
    """Those of ListTrainingJobs and Search."""
    sagemaker = cloud.client("sagemaker")
    names = {f"job-{number}" for number in range(23)}
    for name in names:
        sagemaker.create_training_job(**training_request(name))
    listed = sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 5})
    assert sorted(job["TrainingJobName"] for page in listed for job in page["TrainingJobSummaries"]) == sorted(names)
    searched = sagemaker.get_paginator("search").paginate(Resource="TrainingJob")
    assert sorted(hit["TrainingJob"]["TrainingJobName"] for page in searched for hit in page["Results"]) == sorted(
        names
    )


def test_times_of_a_client_are_understood(cloud: InProcessCloud) -> None:
    """boto3 takes dates and sends seconds."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(**training_request("job"))
    now = dt.datetime.now(dt.timezone.utc)
    hour = dt.timedelta(hours=1)
    assert sagemaker.list_training_jobs(CreationTimeAfter=now - hour)["TrainingJobSummaries"]
    assert not sagemaker.list_training_jobs(CreationTimeAfter=now + hour)["TrainingJobSummaries"]
    earlier = {"Name": "CreationTime", "Operator": "LessThan", "Value": (now - hour).isoformat()}
    assert not sagemaker.search(Resource="TrainingJob", SearchExpression={"Filters": [earlier]})["Results"]


def test_what_is_not_ours_is_answered_by_moto(cloud: InProcessCloud) -> None:
    """Other resources of Search and of tags."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_experiment(ExperimentName="e")
    assert sagemaker.search(Resource="Experiment")["Results"][0]["Experiment"]["ExperimentName"] == "e"
    arn = sagemaker.describe_experiment(ExperimentName="e")["ExperimentArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_the_life_of_a_job(cloud: InProcessCloud) -> None:
    """Created, stopped, ended, deleted: by calls of boto3 alone, but for the end."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(**training_request("job"))
    sagemaker.stop_training_job(TrainingJobName="job")
    assert sagemaker.describe_training_job(TrainingJobName="job")["TrainingJobStatus"] == "Stopping"
    cloud.job("job").finish("Stopped", "Stopped", "over")
    with pytest.raises(ClientError, match="because the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="job")
    sagemaker.delete_training_job(TrainingJobName="job")
    assert not sagemaker.list_training_jobs()["TrainingJobSummaries"]
