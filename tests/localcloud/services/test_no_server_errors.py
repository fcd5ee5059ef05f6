"""Whatever comes in, a client gets an answer or an error of its own, never one of the server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services.operation import NotOurs
from cloudtune.localcloud.services.sagemaker import OPERATIONS
from tests.localcloud.services.model_requests import breakages, broken_by, good_requests
from tests.localcloud.services.small_sagemaker import small_sagemaker, training_request

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
property_names = st.sampled_from(
    [
        "TrainingJobName",
        "CreationTime",
        "HyperParameters.lr",
        "Tags.a",
        "Metrics.loss",
        "ResourceConfig",
        "",
        "x..y",
        ".",
    ]
)


def anything(operation: str, data: st.DataObject) -> Any:
    """A request that the model allows or nearly allows, or any JSON; often about a job that is there."""
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(json_values)
    request = data.draw(good_requests(operation))
    if operation == "CreateTrainingJob" and data.draw(st.booleans()):
        request = {**training_request(), **request}
    ways = breakages(operation, request)
    if ways and data.draw(st.integers(0, 2)) == 0:
        request = broken_by(ways[data.draw(st.integers(0, len(ways) - 1))], request)
    if "TrainingJobName" in request and data.draw(st.booleans()):
        request["TrainingJobName"] = "job"
    if "ResourceArn" in request and data.draw(st.booleans()):
        request["ResourceArn"] = "arn:aws:sagemaker:us-east-1:123456789012:training-job/job"
    if operation == "Search" and data.draw(st.booleans()):
        request["Resource"] = "TrainingJob"
        request.setdefault("SearchExpression", {})["Filters"] = [{"Name": data.draw(property_names), "Value": "1"}]
        request["SortBy"] = data.draw(property_names)
    if data.draw(st.integers(0, 9)) == 0:
        request[data.draw(st.sampled_from(sorted(request) or ["x"]))] = data.draw(json_values)
    return request


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@given(data=st.data())
def test_nothing_is_a_server_error(operation: str, data: st.DataObject) -> None:
    """Every answer can be sent as JSON, and every refusal is the client's fault, with a text."""
    with small_sagemaker(default_quota=5) as sagemaker:
        job = sagemaker.create("job", HyperParameters={"lr": "1"}, Tags=[{"Key": "a", "Value": "1"}])
        if data.draw(st.booleans()):
            job.finish("Completed", "Completed", "", warm_pool={"Status": "Available"})
        params = anything(operation, data)
        answer, refusal = None, None
        try:
            answer = sagemaker.call(operation, params)
        except (AwsError, NotOurs) as error:
            refusal = error
        if isinstance(refusal, AwsError):
            assert 400 <= refusal.status < 500
            assert refusal.message
        json.dumps(answer, allow_nan=False)
