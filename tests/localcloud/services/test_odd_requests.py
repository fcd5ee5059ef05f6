"""Requests that no client of AWS would send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services import logs_api, price_list, service_quotas
from cloudtune.localcloud.services.operation import NotOurs, Operation
from tests.localcloud.services.small_platform import CALLER, GROUP, SmallPlatform

SERVICES: Mapping[str, Mapping[str, Operation]] = {
    "logs": logs_api.OPERATIONS,
    "pricing": price_list.OPERATIONS,
    "service-quotas": service_quotas.OPERATIONS,
}
OPERATIONS = [(service, name) for service, operations in SERVICES.items() for name in operations]
#: Values that lead on into the operations, among others of every type that JSON has.
GOOD = st.sampled_from([GROUP, "job/algo-1-1", "sagemaker", "AmazonSageMaker", "L-3F53BF0F", "aws_v1", "LastEventTime"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | GOOD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Type", "timestamp", "x"]), inner),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def platform() -> Iterator[SmallPlatform]:
    with mock_aws():
        small = SmallPlatform()
        small.write("job/algo-1-1", (1, "line"))
        yield small


@pytest.fixture(scope="module")
def models() -> Mapping[str, ServiceModel]:
    session = botocore.session.get_session()
    return {service: session.get_service_model(service) for service in SERVICES}


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
@given(data=st.data())
def test_any_values_get_an_answer_or_awss_error(
    platform: SmallPlatform, models: Mapping[str, ServiceModel], service: str, name: str, data: st.DataObject
) -> None:
    """Members of any JSON type: never another exception, which the client would see as a 500."""
    shape = models[service].operation_model(name).input_shape
    members = st.fixed_dictionaries({}, optional=dict.fromkeys(shape.members, VALUES))
    required = st.fixed_dictionaries(dict.fromkeys(shape.required_members, GOOD | VALUES))
    params: dict[str, Any] = {**data.draw(members), **data.draw(required)}
    try:
        answer = SERVICES[service][name](platform.whole, CALLER, params)
    except (AwsError, NotOurs):
        return
    assert isinstance(answer, dict)
