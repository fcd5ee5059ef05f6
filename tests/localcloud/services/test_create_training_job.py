"""CreateTrainingJob: names, defaults, limits, and what becomes of the request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.services.sagemaker import OPERATIONS
from tests.localcloud.services.small_sagemaker import CALLER, SmallSagemaker, small_sagemaker, training_request


def test_a_job_is_kept_and_started(sagemaker: SmallSagemaker) -> None:
    """The answer is the ARN; the platform is told of the very record that Describe reads."""
    answer = sagemaker.call("CreateTrainingJob", training_request("job-1"))
    assert answer == {"TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1"}
    assert sagemaker.started == [sagemaker.job("job-1")]
    assert sagemaker.job("job-1").status == "InProgress"


def test_nothing_that_the_caller_holds_changes_the_record(sagemaker: SmallSagemaker) -> None:
    """Neither the request after the call, nor what Describe answers."""
    request = training_request(HyperParameters={"lr": "1"}, InputDataConfig=[_channel()])
    sagemaker.call("CreateTrainingJob", request)
    request["HyperParameters"]["lr"] = "2"
    request["InputDataConfig"][0]["ChannelName"] = "b"
    told = sagemaker.call("DescribeTrainingJob", TrainingJobName="job")
    told["HyperParameters"]["lr"] = "3"
    told["ResourceConfig"]["InstanceCount"] = 7
    told["SecondaryStatusTransitions"].clear()
    told["ModelArtifacts"]["S3ModelArtifacts"] = "x"
    again = sagemaker.call("DescribeTrainingJob", TrainingJobName="job")
    assert again["HyperParameters"] == {"lr": "1"}
    assert again["ResourceConfig"]["InstanceCount"] == 1
    assert again["InputDataConfig"][0]["ChannelName"] == "a"
    assert again["SecondaryStatusTransitions"]
    assert again["ModelArtifacts"] == {"S3ModelArtifacts": ""}


def test_the_runtime_is_a_day_unless_said_otherwise(sagemaker: SmallSagemaker) -> None:
    """AWS's default, told by Describe."""
    assert sagemaker.create("a", StoppingCondition=None).request["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert sagemaker.create("b").request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}


def test_a_name_is_taken_in_one_account_and_region_only(sagemaker: SmallSagemaker) -> None:
    """Elsewhere it is free."""
    sagemaker.create("job")
    for caller in (Caller("123456789012", "eu-west-1"), Caller("210987654321", "us-east-1")):
        answer = OPERATIONS["CreateTrainingJob"](sagemaker.whole, caller, training_request("job"))
        assert f":{caller.region}:{caller.account}:" in answer["TrainingJobArn"]
    assert sagemaker.refused("CreateTrainingJob", training_request("job")).code == "ResourceInUse"


def test_an_unknown_region_is_an_error_of_the_client(sagemaker: SmallSagemaker) -> None:
    """Not a server error, whatever the operation."""
    with pytest.raises(AwsError, match="Region mars-1 does not exist"):
        OPERATIONS["CreateTrainingJob"](sagemaker.whole, Caller("123456789012", "mars-1"), training_request())


def test_of_many_who_want_a_name_one_gets_it(sagemaker: SmallSagemaker) -> None:
    """Check and creation are one step."""
    refusals = _at_once(sagemaker, [training_request("job") for _ in range(16)])
    assert refusals == ["ResourceInUse"] * 15
    assert len(sagemaker.started) == 1


def test_nobody_comes_between_check_and_creation(sagemaker: SmallSagemaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request is checked, another for the same name waits; here each check waits for the other in vain."""
    both_inside = threading.Barrier(2)
    check = sagemaker.quotas.check

    def slow_check(request: Any, account: str, region: str) -> None:
        try:
            both_inside.wait(0.2)
        except threading.BrokenBarrierError:
            check(request, account, region)
        else:
            pytest.fail("two requests were checked at once")

    monkeypatch.setattr(sagemaker.quotas, "check", slow_check)
    assert _at_once(sagemaker, [training_request("job")] * 2) == ["ResourceInUse"]


def test_a_quota_holds_against_many_at_once() -> None:
    """Sixteen jobs at the same time never get more than four instances."""
    with small_sagemaker(default_quota=4) as sagemaker:
        refusals = _at_once(sagemaker, [training_request(f"job-{number}") for number in range(16)])
        assert refusals == ["ResourceLimitExceeded"] * 12
        assert len(sagemaker.started) == 4


def test_instance_groups_take_the_place_of_a_type(sagemaker: SmallSagemaker) -> None:
    """A heterogeneous cluster; its instances are counted together for the limit of a job."""
    groups = [
        {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 2, "InstanceGroupName": "gpu"},
        {"InstanceType": "ml.c5.xlarge", "InstanceCount": 3, "InstanceGroupName": "cpu"},
    ]
    job = sagemaker.create("job", ResourceConfig={"InstanceGroups": groups})
    assert job.instances == {"ml.g4dn.xlarge": 2, "ml.c5.xlarge": 3}
    assert job.instance_count == 5
    groups[1]["InstanceCount"] = 19
    error = sagemaker.refused("CreateTrainingJob", training_request("x", ResourceConfig={"InstanceGroups": groups}))
    assert error.code == "ResourceLimitExceeded"


def _channel() -> dict[str, Any]:
    return {"ChannelName": "a", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/x"}}}


def _at_once(sagemaker: SmallSagemaker, requests: list[dict[str, Any]]) -> list[str]:
    """Creates all jobs at once; the codes of the refusals."""
    together = threading.Barrier(len(requests))

    def create(request: dict[str, Any]) -> str:
        together.wait(30)
        try:
            OPERATIONS["CreateTrainingJob"](sagemaker.whole, CALLER, request)
        except AwsError as error:
            return error.code
        return ""

    with ThreadPoolExecutor(len(requests)) as threads:
        return sorted(code for code in threads.map(create, requests) if code)
