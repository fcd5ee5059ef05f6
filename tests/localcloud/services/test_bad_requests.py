"""What is wrong with a request is said with AWS's code, and never by a server error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.localcloud.services.small_sagemaker import SmallSagemaker, training_request

JOB = "arn:aws:sagemaker:us-east-1:123456789012:training-job/job"
INVALID = "ValidationException"
ONE = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1}
IMAGE = {"TrainingImage": "image:1", "TrainingInputMode": "File"}
GROUP = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "InstanceGroupName": "a"}


def channel(name: str = "a", uri: str = "s3://bucket/x", groups: Sequence[str] = ()) -> dict[str, Any]:
    source: dict[str, Any] = {"S3DataType": "S3Prefix", "S3Uri": uri}
    if groups:
        source["InstanceGroupNames"] = list(groups)
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


BAD_JOBS: list[tuple[dict[str, Any], str, str]] = [
    ({"TrainingJobName": "bad_name"}, INVALID, "'trainingJobName'"),
    ({"TrainingJobName": "-a"}, INVALID, "regular expression pattern"),
    ({"TrainingJobName": ""}, INVALID, "greater than or equal to 1"),
    ({"TrainingJobName": "a" * 64}, INVALID, "less than or equal to 63"),
    ({"TrainingJobName": None}, INVALID, "Value null at 'trainingJobName'"),
    ({"TrainingJobName": 5}, "SerializationException", "NUMBER_VALUE"),
    ({"RoleArn": "role"}, INVALID, "'roleArn'"),
    ({"RoleArn": None}, INVALID, "Value null at 'roleArn'"),
    ({"OutputDataConfig": None}, INVALID, "Value null at 'outputDataConfig'"),
    ({"OutputDataConfig": {}}, INVALID, "Value null at 'outputDataConfig.s3OutputPath'"),
    ({"OutputDataConfig": {"S3OutputPath": "bucket/x"}}, INVALID, "'outputDataConfig.s3OutputPath'"),
    ({"OutputDataConfig": {"S3OutputPath": "https://bucket/x"}}, INVALID, "form s3://bucket/key"),
    ({"OutputDataConfig": {"S3OutputPath": "s3://b/x"}}, INVALID, "form s3://bucket/key"),
    ({"OutputDataConfig": {"S3OutputPath": "s3://bu cket"}}, INVALID, "form s3://bucket/key"),
    ({"AlgorithmSpecification": None}, INVALID, "Value null at 'algorithmSpecification'"),
    ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, INVALID, "either a TrainingImage or an AlgorithmName"),
    ({"AlgorithmSpecification": {**IMAGE, "AlgorithmName": "a"}}, INVALID, "and not both"),
    (
        {"AlgorithmSpecification": {**IMAGE, "TrainingInputMode": "Tape"}},
        INVALID,
        "enum value set: [Pipe, File, FastFile]",
    ),
    ({"AlgorithmSpecification": {"TrainingImage": "i"}}, INVALID, "'algorithmSpecification.trainingInputMode'"),
    ({"AlgorithmSpecification": {**IMAGE, "ContainerArguments": ["x" * 257]}}, INVALID, "containerArguments"),
    ({"AlgorithmSpecification": {**IMAGE, "ContainerEntrypoint": []}}, INVALID, "containerEntrypoint"),
    ({"AlgorithmSpecification": {**IMAGE, "ContainerArguments": ["a\0"]}}, INVALID, "null characters"),
    (
        {"AlgorithmSpecification": {**IMAGE, "MetricDefinitions": [{"Name": "loss", "Regex": "loss=("}]}},
        INVALID,
        "regular expression of metric 'loss'",
    ),
    ({"ResourceConfig": None}, INVALID, "Value null at 'resourceConfig'"),
    ({"ResourceConfig": {"InstanceCount": 1}}, INVALID, "Value null at 'resourceConfig.instanceType'"),
    ({"ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"}}, INVALID, "Value null at 'resourceConfig.instanceCount'"),
    ({"ResourceConfig": {**ONE, "InstanceType": "ml.nonexist"}}, INVALID, "'resourceConfig.instanceType' failed"),
    ({"ResourceConfig": {**ONE, "InstanceCount": 0}}, INVALID, "'resourceConfig.instanceCount'"),
    ({"ResourceConfig": {**ONE, "InstanceCount": "1"}}, "SerializationException", "an Integer"),
    ({"ResourceConfig": {**ONE, "InstanceCount": 21}}, "ResourceLimitExceeded", "is 20 Instances"),
    ({"ResourceConfig": {**ONE, "KeepAlivePeriodInSeconds": 3601}}, INVALID, "KeepAlivePeriodInSeconds 3601"),
    ({"ResourceConfig": {**ONE, "KeepAlivePeriodInSeconds": 21601}}, INVALID, "less than or equal to 21600"),
    ({"ResourceConfig": {**ONE, "InstanceGroups": [GROUP]}}, INVALID, "cannot be specified with InstanceGroups"),
    ({"ResourceConfig": {"InstanceGroups": [GROUP, GROUP]}}, INVALID, "group names must be unique"),
    ({"ResourceConfig": {"InstanceGroups": [{**GROUP, "InstanceCount": 0}]}}, INVALID, "instanceGroups.1.member"),
    (
        {"ResourceConfig": {"InstanceGroups": [GROUP]}, "InputDataConfig": [channel("c", groups=["a", "b"])]},
        INVALID,
        "channel 'c': ResourceConfig has no instance group 'b'",
    ),
    ({"InputDataConfig": [channel("c", groups=["a"])]}, INVALID, "no instance group 'a'"),
    ({"ResourceConfig": {"InstancePreferences": [{"InstanceType": "ml.g5.xlarge"}]}}, INVALID, "not supported"),
    ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, INVALID, "'stoppingCondition.maxRuntimeInSeconds'"),
    ({"StoppingCondition": {"MaxRuntimeInSeconds": 432_001}}, "ResourceLimitExceeded", "is 432000 Seconds"),
    ({"StoppingCondition": {"MaxWaitTimeInSeconds": 99_999}}, INVALID, "only supported when EnableManagedSpotTraining"),
    ({"EnableManagedSpotTraining": True}, INVALID, "greater than or equal to MaxRuntimeInSeconds"),
    (
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": 9},
        },
        INVALID,
        "It must be present and be greater than or equal to MaxRuntimeInSeconds",
    ),
    (
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": 20},
            "ResourceConfig": {**ONE, "KeepAlivePeriodInSeconds": 60},
        },
        INVALID,
        "KeepAlivePeriodInSeconds is not supported",
    ),
    ({"CheckpointConfig": {}}, INVALID, "Value null at 'checkpointConfig.s3Uri'"),
    ({"CheckpointConfig": {"S3Uri": "s3:/bucket"}}, INVALID, "'checkpointConfig.s3Uri'"),
    ({"CheckpointConfig": {"S3Uri": "s3://bucket", "LocalPath": "../x"}}, INVALID, "LocalPath"),
    ({"InputDataConfig": []}, INVALID, "'inputDataConfig'"),
    ({"InputDataConfig": [channel(), channel()]}, INVALID, "'a' is given more than once"),
    ({"InputDataConfig": [channel("a/b")]}, INVALID, "'inputDataConfig.1.member.channelName'"),
    ({"InputDataConfig": [channel(uri="s3://x")]}, INVALID, "inputDataConfig.1.member.dataSource.s3DataSource.s3Uri"),
    ({"InputDataConfig": [{"ChannelName": "a", "DataSource": {}}]}, INVALID, "exactly one"),
    ({"InputDataConfig": [channel(f"c{number}") for number in range(21)]}, INVALID, "less than or equal to 20"),
    ({"HyperParameters": {f"p{number}": "" for number in range(101)}}, INVALID, "less than or equal to 100"),
    ({"HyperParameters": {"lr": "x" * 2501}}, INVALID, "Map value must satisfy constraint"),
    ({"HyperParameters": {"x" * 257: ""}}, INVALID, "Map keys must satisfy constraint"),
    ({"HyperParameters": {"a": "two\nlines"}}, INVALID, "Map value must satisfy constraint"),
    ({"HyperParameters": {"lr": 0.1}}, "SerializationException", "a String"),
    ({"Environment": {"1A": "x"}}, INVALID, "'environment'"),
    ({"Environment": {"A": "x" * 513}}, INVALID, "'environment'"),
    ({"Environment": {"A": "\0"}}, INVALID, "null character"),
    ({"Environment": {"CLOUDTUNE_LOCALCLOUD_ID": "x"}}, INVALID, "reserved"),
    ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, INVALID, "Duplicate tag keys"),
    ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, INVALID, "aws: prefixed"),
    ({"Tags": [{"Key": "a#b", "Value": "1"}]}, INVALID, "'tags.1.member.key'"),
    ({"Tags": [{"Key": "a"}]}, INVALID, "Value null at 'tags.1.member.value'"),
    ({"Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]}, INVALID, "less than or equal to 50"),
    ({"RetryStrategy": {"MaximumRetryAttempts": 31}}, INVALID, "less than or equal to 30"),
    ({"ServerlessJobConfig": {"BaseModelArn": "x", "JobType": "FineTuning"}}, INVALID, "baseModelArn"),
]

BAD_CALLS: list[tuple[str, dict[str, Any], str, str]] = [
    ("CreateTrainingJob", training_request(), "ResourceInUse", f"with this name already exists ({JOB})"),
    ("DescribeTrainingJob", {}, INVALID, "Value null at 'trainingJobName'"),
    ("DescribeTrainingJob", {"TrainingJobName": "other"}, INVALID, "Requested resource not found."),
    ("StopTrainingJob", {"TrainingJobName": "other"}, INVALID, "Requested resource not found."),
    ("UpdateTrainingJob", {"TrainingJobName": "other"}, INVALID, "Requested resource not found."),
    ("DeleteTrainingJob", {"TrainingJobName": "other"}, "ResourceNotFound", "Requested resource not found."),
    ("DeleteTrainingJob", {"TrainingJobName": "job"}, "ResourceInUse", "in status InProgress"),
    (
        "UpdateTrainingJob",
        {"TrainingJobName": "job", "ResourceConfig": {"KeepAlivePeriodInSeconds": 5}},
        INVALID,
        "only while the job's warm pool is Available",
    ),
    (
        "UpdateTrainingJob",
        {"TrainingJobName": "job", "RemoteDebugConfig": {"EnableRemoteDebug": True}},
        INVALID,
        "only while the job is Downloading or Training",
    ),
    ("ListTrainingJobs", {"MaxResults": 0}, INVALID, "'maxResults'"),
    ("ListTrainingJobs", {"MaxResults": 101}, INVALID, "less than or equal to 100"),
    ("ListTrainingJobs", {"StatusEquals": "Running"}, INVALID, "enum value set"),
    ("ListTrainingJobs", {"SortBy": "Age"}, INVALID, "enum value set: [Name, CreationTime, Status]"),
    ("ListTrainingJobs", {"NameContains": "a_b"}, INVALID, "'nameContains'"),
    ("ListTrainingJobs", {"NextToken": "10"}, INVALID, "Invalid token"),
    ("ListTrainingJobs", {"NextToken": "ä" * 10}, INVALID, "Invalid token"),
    ("ListTrainingJobs", {"NextToken": "AAAAAAAAAAAAAAAA"}, INVALID, "Invalid token"),
    ("Search", {}, INVALID, "Value null at 'resource'"),
    ("Search", {"Resource": "Cake"}, INVALID, "'resource'"),
    ("Search", {"Resource": "TrainingJob", "NextToken": "x"}, INVALID, "Invalid token"),
    ("Search", {"Resource": "TrainingJob", "SortBy": "Age"}, INVALID, "Unknown property name: Age"),
    ("Search", {"Resource": "TrainingJob", "SortBy": "ResourceConfig"}, INVALID, "Unknown property name"),
    ("Search", {"Resource": "TrainingJob", "SearchExpression": {}}, INVALID, "at least one filter"),
    ("AddTags", {"ResourceArn": "job", "Tags": []}, INVALID, "'resourceArn'"),
    ("AddTags", {"ResourceArn": f"{JOB}s", "Tags": []}, INVALID, "not found"),
    ("AddTags", {"ResourceArn": JOB, "Tags": [{"Key": "aws:a", "Value": ""}]}, INVALID, "aws: prefixed"),
    ("AddTags", {"ResourceArn": JOB.replace("east", "west"), "Tags": []}, INVALID, "not found"),
    ("ListTags", {"ResourceArn": JOB, "NextToken": "x"}, INVALID, "Invalid token"),
    ("ListTags", {"ResourceArn": JOB, "MaxResults": 10}, INVALID, "greater than or equal to 50"),
    ("DeleteTags", {"ResourceArn": JOB, "TagKeys": []}, INVALID, "'tagKeys'"),
]


@pytest.mark.parametrize(("changes", "code", "text"), BAD_JOBS)
def test_a_bad_job_is_refused(sagemaker: SmallSagemaker, changes: dict[str, Any], code: str, text: str) -> None:
    """The error names what is wrong, has a status that clients do not retry, and no job comes of it."""
    error = sagemaker.refused("CreateTrainingJob", training_request(**changes))
    assert (error.code, error.status) == (code, 400)
    assert text in error.message
    assert not sagemaker.started
    assert not sagemaker.call("ListTrainingJobs")["TrainingJobSummaries"]


@pytest.mark.parametrize(("operation", "params", "code", "text"), BAD_CALLS)
def test_a_bad_call_is_refused(
    sagemaker: SmallSagemaker, operation: str, params: dict[str, Any], code: str, text: str
) -> None:
    """Of all the operations that we serve; the job that is there stays as it was."""
    before = sagemaker.create("job", Tags=[{"Key": "a", "Value": "b"}]).to_dict()
    error = sagemaker.refused(operation, params)
    assert (error.code, error.status) == (code, 400)
    assert text in error.message
    assert sagemaker.job("job").to_dict() == before
