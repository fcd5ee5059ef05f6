"""Requests drawn from the model's own constraints."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services.sagemaker import OPERATIONS
from cloudtune.localcloud.services.validation import checked
from tests.localcloud.services.model_requests import breakages, broken_by, good_requests

slowly_drawn = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@slowly_drawn
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@given(data=st.data())
def test_what_the_model_allows_is_taken_as_it_is(operation: str, data: st.DataObject) -> None:
    """Every member comes through unchanged."""
    request = data.draw(good_requests(operation))
    assert checked(operation, request) == request


@slowly_drawn
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@given(data=st.data())
def test_one_broken_constraint_is_refused_by_name(operation: str, data: st.DataObject) -> None:
    """The error names the member, or what holds the entry, and the constraint."""
    request = data.draw(good_requests(operation))
    ways = breakages(operation, request)
    assume(ways)
    number = data.draw(st.integers(0, len(ways) - 1))
    with pytest.raises(AwsError) as refusal:
        checked(operation, broken_by(ways[number], request))
    assert refusal.value.code == "ValidationException"
    assert f"{ways[number].label}'" in refusal.value.message
    assert ways[number].constraint in refusal.value.message
