"""Search: filters, expressions, order, pages, and the past."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from cloudtune.localcloud.services.operation import NotOurs
from tests.localcloud.services.small_sagemaker import SmallSagemaker, training_request


def where(name: str, operator: str | None = None, value: str | None = None) -> dict[str, Any]:
    members = {"Name": name, "Operator": operator, "Value": value}
    return {member: entry for member, entry in members.items() if entry is not None}


def found(sagemaker: SmallSagemaker, expression: dict[str, Any] | None = None, **asked: Any) -> str:
    """The last letters of the names, in the order of the answer."""
    if expression is not None:
        asked["SearchExpression"] = expression
    page = sagemaker.call("Search", {"Resource": "TrainingJob", "SortBy": "TrainingJobName", **asked})
    return "".join(result["TrainingJob"]["TrainingJobName"][-1] for result in page["Results"])


def channel(name: str, uri: str) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


@pytest.fixture
def jobs(sagemaker: SmallSagemaker) -> SmallSagemaker:
    """Jobs a, b and c, an hour apart: a has completed, b has failed, c runs."""
    sagemaker.clock.began = dt.datetime(2026, 11, 20, 10, tzinfo=dt.timezone.utc).timestamp()
    spot = {"EnableManagedSpotTraining": True}
    waits = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}
    sagemaker.create(
        "job-a",
        HyperParameters={"lr": "0.5", "optimizer": "adam"},
        Tags=[{"Key": "study", "Value": "one"}, {"Key": "x.y", "Value": "1"}],
        InputDataConfig=[channel("train", "s3://data/cats"), channel("test", "s3://data/dogs")],
        Environment={"A": "1"},
    )
    sagemaker.pass_time(3600)
    sagemaker.create(
        "job-b",
        HyperParameters={"lr": "1e-3"},
        Tags=[{"Key": "study", "Value": "one"}],
        InputDataConfig=[channel("train", "s3://data/dogs")],
        StoppingCondition=waits,
        **spot,
    )
    sagemaker.pass_time(3600)
    resources = {**training_request()["ResourceConfig"], "InstanceType": "ml.c5.xlarge", "InstanceCount": 2}
    sagemaker.create("job-c", HyperParameters={"lr": "auto"}, ResourceConfig=resources)
    sagemaker.job("job-a").record_metric("loss", 0.25, 1.0)
    sagemaker.job("job-b").record_metric("loss", 0.5, 1.0)
    sagemaker.pass_time(3600)
    sagemaker.job("job-a").finish("Completed", "Completed", "", billable_seconds=30)
    sagemaker.job("job-b").finish("Failed", "Failed", "", "AlgorithmError: out of memory")
    return sagemaker


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (where("TrainingJobName", "Equals", "job-a"), "a"),
        (where("TrainingJobName", None, "job-a"), "a"),
        (where("TrainingJobName", "NotEquals", "job-a"), "cb"),
        (where("TrainingJobName", "Contains", "-b"), "b"),
        (where("TrainingJobName", "In", "job-a, job-c,x"), "ca"),
        (where("TrainingJobStatus", "Equals", "InProgress"), "c"),
        (where("FailureReason", "Contains", "memory"), "b"),
        (where("FailureReason", "Exists"), "b"),
        (where("FailureReason"), "b"),
        (where("FailureReason", "NotExists"), "ca"),
        (where("FailureReason", "NotEquals", "x"), "cba"),
        (where("HyperParameters.lr", "Equals", "0.50"), "a"),
        (where("HyperParameters.lr", "LessThan", "0.5"), "b"),
        (where("HyperParameters.lr", "LessThanOrEqualTo", "0.5"), "ba"),
        (where("HyperParameters.lr", "GreaterThan", "0.001"), "a"),
        (where("HyperParameters.lr", "Equals", "0"), "ba"),
        (where("HyperParameters.lr", "Equals", "auto"), "c"),
        (where("HyperParameters.lr", "NotEquals", "auto"), "ba"),
        (where("HyperParameters.lr", "Contains", "e-"), "b"),
        (where("HyperParameters.optimizer", "Exists"), "a"),
        (where("HyperParameters", "Exists"), "cba"),
        (where("Metrics.loss", "LessThan", "0.3"), "a"),
        (where("Metrics.loss", "GreaterThanOrEqualTo", "0.5"), "b"),
        (where("Metrics.loss", "NotExists"), "c"),
        (where("FinalMetricDataList.MetricName", "Equals", "loss"), "ba"),
        (where("Tags.study", "Equals", "one"), "ba"),
        (where("Tags.x.y", "Equals", "1"), "a"),
        (where("Tags.study", "NotExists"), "c"),
        (where("Environment.A", "Equals", "1"), "a"),
        (where("ResourceConfig.InstanceType", "Equals", "ml.c5.xlarge"), "c"),
        (where("ResourceConfig.InstanceCount", "GreaterThan", "1"), "c"),
        (where("ResourceConfig.InstanceCount", "Equals", "1.0"), "ba"),
        (where("BillableTimeInSeconds", "GreaterThan", "29.5"), "a"),
        (where("EnableManagedSpotTraining", "Equals", "true"), "b"),
        (where("EnableManagedSpotTraining", "Equals", "False"), "ca"),
        (where("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "dogs"), "ba"),
        (where("InputDataConfig.ChannelName", "NotEquals", "test"), "cb"),
        (where("CreationTime", "GreaterThan", "2026-11-20T10:00:00"), "cb"),
        (where("CreationTime", "Equals", "2026-11-20T10:00:00Z"), "a"),
        (where("CreationTime", "LessThanOrEqualTo", "2026-11-20T13:00:00+02:00"), "ba"),
        (where("LastModifiedTime", "GreaterThanOrEqualTo", "2026-11-20T13:00:00"), "ba"),
        (where("SecondaryStatusTransitions.Status", "Equals", "Starting"), "cba"),
        (where("ModelArtifacts", "Exists"), "cba"),
        (where("VpcConfig", "Exists"), ""),
    ],
)
def test_one_filter(jobs: SmallSagemaker, condition: dict[str, Any], expected: str) -> None:
    """Operators for text, numbers, hyperparameters that are either, flags, times, lists, tags and metrics."""
    assert found(jobs, {"Filters": [condition]}) == expected


NAME_A, NAME_B = where("TrainingJobName", "Equals", "job-a"), where("TrainingJobName", "Equals", "job-b")
STUDY = where("Tags.study", "Equals", "one")
RUNS = where("TrainingJobStatus", "Equals", "InProgress")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"Filters": [STUDY, NAME_A]}, "a"),
        ({"Filters": [STUDY, RUNS]}, ""),
        ({"Filters": [NAME_A, RUNS], "Operator": "Or"}, "ca"),
        ({"SubExpressions": [{"Filters": [NAME_A]}, {"Filters": [NAME_B]}], "Operator": "Or"}, "ba"),
        ({"SubExpressions": [{"Filters": [NAME_A, NAME_B], "Operator": "Or"}], "Filters": [STUDY]}, "ba"),
        ({"SubExpressions": [{"SubExpressions": [{"Filters": [NAME_A]}]}, {"Filters": [RUNS]}]}, ""),
    ],
)
def test_expressions(jobs: SmallSagemaker, expression: dict[str, Any], expected: str) -> None:
    """And, unless Or is asked for; within each other to any depth."""
    assert found(jobs, expression) == expected


def test_a_nested_filter_asks_one_element_for_everything(jobs: SmallSagemaker) -> None:
    """Job a has a channel named train, and one with dogs, but they are not the same."""
    conditions = [
        where("InputDataConfig.ChannelName", "Equals", "train"),
        where("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "dogs"),
    ]
    assert found(jobs, {"Filters": conditions}) == "ba"
    nested = {"NestedPropertyName": "InputDataConfig", "Filters": conditions}
    assert found(jobs, {"NestedFilters": [nested]}) == "b"
    tag = {
        "NestedPropertyName": "Tags",
        "Filters": [where("Tags.Key", "Equals", "x.y"), where("Tags.Value", None, "1")],
    }
    assert found(jobs, {"NestedFilters": [tag]}) == "a"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ({"Filters": [where("Color", "Equals", "red")]}, "Unknown property name: Color"),
        ({"Filters": [where("ResourceConfig.Color", "Exists")]}, "Unknown property name: ResourceConfig.Color"),
        ({"Filters": [where("RoleArn.x", "Exists")]}, "Unknown property name: RoleArn.x"),
        ({"Filters": [where("RoleArn", "Equals")]}, "needs a Value"),
        ({"Filters": [where("RoleArn", "GreaterThan", "a")]}, "not supported for property 'RoleArn'"),
        ({"Filters": [where("ResourceConfig", "Equals", "a")]}, "not supported for property 'ResourceConfig'"),
        ({"Filters": [where("ResourceConfig.InstanceCount", "Contains", "1")]}, "not supported"),
        ({"Filters": [where("ResourceConfig.InstanceCount", "Equals", "many")]}, "must be a number"),
        ({"Filters": [where("HyperParameters.lr", "LessThan", "high")]}, "must be a number"),
        ({"Filters": [where("EnableManagedSpotTraining", "Equals", "yes")]}, "must be true or false"),
        ({"Filters": [where("CreationTime", "LessThan", "yesterday")]}, "must be an ISO 8601 time"),
        ({"Filters": [NAME_A] * 21}, "less than or equal to 20"),
        ({"Filters": []}, "greater than or equal to 1"),
        ({"SubExpressions": [{}]}, "at least one filter"),
        ({"SubExpressions": [{"Filters": [NAME_A] * 20}] * 3}, "at most 50 conditions"),
        ({"Filters": [where("RoleArn", "Contains", "a")] * 2}, "'CONTAINS' operator usage limit of 1 exceeded."),
        ({"NestedFilters": [{"NestedPropertyName": "RoleArn", "Filters": [NAME_A]}]}, "Nested filters need a list"),
        ({"NestedFilters": [{"NestedPropertyName": "Tags", "Filters": [NAME_A]}]}, "must name a property of 'Tags'"),
    ],
)
def test_wrong_expressions(jobs: SmallSagemaker, expression: dict[str, Any], text: str) -> None:
    """Each says what is wrong with it."""
    error = jobs.refused("Search", Resource="TrainingJob", SearchExpression=expression)
    assert error.code == "ValidationException"
    assert text in error.message


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"SortBy": "LastModifiedTime"}, "bac"),
        ({"SortBy": "CreationTime", "SortOrder": "Ascending"}, "abc"),
        ({"SortBy": "HyperParameters.lr", "SortOrder": "Ascending"}, "bac"),
        ({"SortBy": "Metrics.loss", "SortOrder": "Descending"}, "bac"),
        ({"SortBy": "Metrics.loss", "SortOrder": "Ascending"}, "abc"),
        ({"SortBy": "Tags.study", "SortOrder": "Ascending"}, "abc"),
        ({"SortBy": "ResourceConfig.InstanceCount"}, "cba"),
    ],
)
def test_orders(jobs: SmallSagemaker, asked: dict[str, Any], expected: str) -> None:
    """By any property; numbers before text, jobs without the property last in either direction."""
    assert found(jobs, **asked) == expected


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("sort_by", ["LastModifiedTime", "Metrics.loss", "TrainingJobStatus"])
def test_pages_are_of_one_moment(jobs: SmallSagemaker, sort_by: str, order: str) -> None:
    """What changes or begins after the first page does not show on the others."""
    asked: dict[str, Any] = {"SortBy": sort_by, "SortOrder": order}
    whole = found(jobs, **asked)
    page = jobs.call("Search", {"Resource": "TrainingJob", "MaxResults": 1, **asked})
    names = [page["Results"][0]["TrainingJob"]["TrainingJobName"]]
    assert page["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    jobs.pass_time()
    jobs.job("job-c").finish("Failed", "Failed", "", "x")
    jobs.create("job-d")
    while "NextToken" in page:
        page = jobs.call(
            "Search", {"Resource": "TrainingJob", "MaxResults": 1, "NextToken": page["NextToken"], **asked}
        )
        names += [result["TrainingJob"]["TrainingJobName"] for result in page["Results"]]
    assert "".join(name[-1] for name in names) == whole


def test_a_stale_search_tells_the_past(jobs: SmallSagemaker) -> None:
    """At the asked time job c was not there, and nothing had ended."""
    past = jobs.clock.began + 3700
    running = {"Filters": [RUNS]}
    assert found(jobs, running, __until__=past) == "ba"
    page = jobs.call("Search", {"Resource": "TrainingJob", "__until__": past})
    assert {result["TrainingJob"]["TrainingJobStatus"] for result in page["Results"]} == {"InProgress"}
    assert found(jobs, running) == "c"


def test_a_result_has_what_a_search_record_has(jobs: SmallSagemaker) -> None:
    """Tags too, but not what only DescribeTrainingJob tells; and it is a copy."""
    asked = {"Resource": "TrainingJob", "SearchExpression": {"Filters": [NAME_A]}}
    record = jobs.call("Search", asked)["Results"][0]["TrainingJob"]
    assert record["Tags"][0] == {"Key": "study", "Value": "one"}
    assert record["HyperParameters"]["optimizer"] == "adam"
    assert "ProfilingStatus" not in record
    record["HyperParameters"].clear()
    record["Tags"][0]["Value"] = "x"
    again = jobs.call("Search", asked)["Results"][0]["TrainingJob"]
    assert again["HyperParameters"]
    assert again["Tags"][0]["Value"] == "one"


def test_nothing_is_shared_across_accounts(jobs: SmallSagemaker) -> None:
    """Whoever asks for resources of others gets none."""
    assert found(jobs, CrossAccountFilterOption="CrossAccount") == ""
    assert found(jobs, CrossAccountFilterOption="SameAccount") == "cba"


def test_other_resources_are_left_to_moto(jobs: SmallSagemaker) -> None:
    """We know training jobs only."""
    with pytest.raises(NotOurs):
        jobs.call("Search", Resource="Experiment")
