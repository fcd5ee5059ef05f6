"""Requests against SageMaker's model."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services.sagemaker import OPERATIONS
from cloudtune.localcloud.services.scalar_checks import SCALARS, scalar_check
from cloudtune.localcloud.services.validation import checked, sagemaker_model
from tests.localcloud.services.small_sagemaker import training_request


def refusal(operation: str, params: Any) -> AwsError:
    with pytest.raises(AwsError) as refused:
        checked(operation, params)
    return refused.value


def test_a_good_request_comes_back_as_a_copy() -> None:
    """Nothing of the caller's request is kept by reference."""
    request = training_request(HyperParameters={"lr": "0.1"}, Tags=[{"Key": "a", "Value": "b"}])
    clean = checked("CreateTrainingJob", request)
    assert clean == request
    request["HyperParameters"]["lr"] = "2"
    request["Tags"][0]["Key"] = "c"
    assert clean["HyperParameters"] == {"lr": "0.1"}
    assert clean["Tags"] == [{"Key": "a", "Value": "b"}]


def test_unknown_members_and_nulls_are_ignored() -> None:
    """As on AWS, at every depth; so an older server takes a newer client's request."""
    request = training_request(Foo=1)
    request["ResourceConfig"] = {**request["ResourceConfig"], "Bar": {"x": []}, "VolumeKmsKeyId": None}
    assert checked("CreateTrainingJob", {**request, "VpcConfig": None}) == training_request()


def test_the_text_of_one_error_is_that_of_aws() -> None:
    """The form that AWS's clients know, with the value and the path."""
    error = refusal("DescribeTrainingJob", {"TrainingJobName": "bad_name!!"})
    assert error.code == "ValidationException"
    assert error.status == 400
    assert error.message == (
        "1 validation error detected: Value 'bad_name!!' at 'trainingJobName' failed to satisfy constraint: Member "
        "must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_all_errors_are_told_together() -> None:
    """Whoever mends a request sees everything at once."""
    message = refusal("CreateTrainingJob", {"TrainingJobName": "a" * 64, "VpcConfig": {"Subnets": []}}).message
    assert message.startswith("6 validation errors detected: ")
    for path in ("trainingJobName", "roleArn", "outputDataConfig", "vpcConfig.securityGroupIds", "vpcConfig.subnets"):
        assert f" at '{path}' failed to satisfy constraint: " in message


def test_entries_of_lists_and_maps_are_named_as_aws_does() -> None:
    """Structures in lists by number, plain entries by all the constraints they must keep, values as Java prints."""
    request = training_request(
        InputDataConfig=[
            {"ChannelName": "ok", "DataSource": {}},
            {"ChannelName": "no!", "DataSource": {}},
        ],
        HyperParameters={"lr": "x" * 2501},
        VpcConfig={"SecurityGroupIds": ["sg-1", "!"], "Subnets": ["s"]},
    )
    message = refusal("CreateTrainingJob", request).message
    assert "Value 'no!' at 'inputDataConfig.2.member.channelName' failed" in message
    assert (
        "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: [Member must have "
        "length less than or equal to 2500, Member must have length greater than or equal to 0, Member must satisfy "
        "regular expression pattern: .*]"
    ) in message
    assert "Value '{lr=xxx" in message
    assert "Value '[sg-1, !]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: Member must sat" in message


@pytest.mark.parametrize(
    ("operation", "params", "text"),
    [
        ("ListTrainingJobs", {"MaxResults": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ("ListTrainingJobs", {"MaxResults": True}, "TRUE_VALUE can not be converted to an Integer"),
        ("ListTrainingJobs", {"MaxResults": 2**40}, "NUMBER_VALUE can not be converted to an Integer"),
        ("ListTrainingJobs", {"MaxResults": float("nan")}, "NUMBER_VALUE can not be converted to an Integer"),
        ("ListTrainingJobs", {"NameContains": 5}, "NUMBER_VALUE can not be converted to a String"),
        ("ListTrainingJobs", {"NameContains": []}, "Start of list found where not expected"),
        ("ListTrainingJobs", {"NameContains": {}}, "Start of structure or map found where not expected"),
        ("ListTrainingJobs", {"CreationTimeAfter": "now"}, "can not be converted to milliseconds since epoch"),
        ("ListTrainingJobs", {"CreationTimeAfter": float("inf")}, "NUMBER_VALUE can not be converted"),
        ("ListTrainingJobs", [], "Expected map or null"),
        ("ListTrainingJobs", {"NameContains": "\ud800"}, "Invalid UTF-8"),
        ("CreateTrainingJob", {"EnableManagedSpotTraining": "yes"}, "STRING_VALUE can not be converted to a Boolean"),
        ("CreateTrainingJob", {"HyperParameters": []}, "Expected map or null"),
        ("CreateTrainingJob", {"HyperParameters": {"a": 1}}, "NUMBER_VALUE can not be converted to a String"),
        ("CreateTrainingJob", {"Tags": {}}, "Expected list or null"),
        ("CreateTrainingJob", {"VpcConfig": {"Subnets": "a"}}, "Expected list or null"),
    ],
)
def test_a_wrong_type_is_a_serialization_error(operation: str, params: Any, text: str) -> None:
    """AWS cannot even read such a request, and says so before it looks at constraints."""
    error = refusal(operation, params)
    assert error.code == "SerializationException"
    assert text in error.message


def test_a_fraction_loses_what_is_behind_the_point() -> None:
    """As AWS does where an integer is wanted."""
    assert checked("ListTrainingJobs", {"MaxResults": 7.9}) == {"MaxResults": 7}


def test_null_entries_are_refused() -> None:
    """A null within a list or map is a missing member, not an entry to skip."""
    assert "hyperParameters" in refusal("CreateTrainingJob", training_request(HyperParameters={"a": None})).message
    assert "at 'tags.1.member'" in refusal("CreateTrainingJob", training_request(Tags=[None])).message
    assert (
        "'tagKeys'"
        in refusal("DeleteTags", {"ResourceArn": "arn:aws:sagemaker:x:123456789012:y", "TagKeys": [None]}).message
    )


def test_endless_nesting_is_refused() -> None:
    """Search expressions may hold each other; a request deeper than Python can follow is an error of the client."""
    expression: dict[str, Any] = {"Filters": [{"Name": "a"}]}
    for _ in range(5000):
        expression = {"SubExpressions": [expression]}
    assert (
        refusal("Search", {"Resource": "TrainingJob", "SearchExpression": expression}).code == "SerializationException"
    )


def test_every_pattern_of_the_served_operations_is_checked() -> None:
    """None of their patterns is beyond what Python can do; a new one that is shows here."""
    unchecked = {
        (operation, shape.name, scalar_check(shape).unchecked)
        for operation in OPERATIONS
        for shape in _shapes(sagemaker_model().operation_model(operation).input_shape, {})
        if shape.type_name in SCALARS and scalar_check(shape).unchecked
    }
    assert not unchecked


def _shapes(shape: Any, seen: dict[str, Any]) -> list[Any]:
    if shape.name not in seen:
        seen[shape.name] = shape
        if shape.type_name == "structure":
            parts = list(shape.members.values())
        elif shape.type_name == "map":
            parts = [shape.key, shape.value]
        else:
            parts = [shape.member] if shape.type_name == "list" else []
        for part in parts:
            _shapes(part, seen)
    return list(seen.values())
