"""Tags of training jobs."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.localcloud.services.operation import NotOurs
from tests.localcloud.services.small_sagemaker import SmallSagemaker

MODEL = "arn:aws:sagemaker:us-east-1:123456789012:model/m"


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def test_a_tag_is_replaced_not_doubled(sagemaker: SmallSagemaker) -> None:
    """The order is that in which the keys were first given."""
    arn = sagemaker.create("job", Tags=tags(a="1", b="2")).arn
    answer = sagemaker.call("AddTags", ResourceArn=arn, Tags=tags(c="3", a="4"))
    assert answer == {"Tags": tags(a="4", b="2", c="3")}
    assert sagemaker.call("ListTags", ResourceArn=arn) == answer


def test_deleted_tags_are_gone_and_missing_ones_do_not_matter(sagemaker: SmallSagemaker) -> None:
    """As on AWS."""
    arn = sagemaker.create("job", Tags=tags(a="1", b="2")).arn
    assert sagemaker.call("DeleteTags", ResourceArn=arn, TagKeys=["a", "x"]) == {}
    assert sagemaker.call("ListTags", ResourceArn=arn) == {"Tags": tags(b="2")}


def test_a_job_has_at_most_fifty_tags(sagemaker: SmallSagemaker) -> None:
    """One more is refused, and none of the request is kept; another value for a key is no more."""
    many = tags(**{f"k{number}": "" for number in range(50)})
    arn = sagemaker.create("job", Tags=many).arn
    error = sagemaker.refused("AddTags", ResourceArn=arn, Tags=tags(k0="new", x=""))
    assert error.code == "ValidationException"
    assert sagemaker.call("ListTags", ResourceArn=arn) == {"Tags": many}
    sagemaker.call("AddTags", ResourceArn=arn, Tags=tags(k0="new"))
    assert sagemaker.job("job").tags["k0"] == "new"


def test_what_is_told_is_not_the_record(sagemaker: SmallSagemaker) -> None:
    """Changing the answer changes nothing."""
    arn = sagemaker.create("job", Tags=tags(a="1")).arn
    sagemaker.call("ListTags", ResourceArn=arn)["Tags"][0]["Value"] = "x"
    assert sagemaker.job("job").tags == {"a": "1"}


def test_tags_of_other_things_are_left_to_moto(sagemaker: SmallSagemaker) -> None:
    """Models, endpoints and all the rest that has tags."""
    calls: dict[str, dict[str, Any]] = {
        "AddTags": {"Tags": tags(a="1")},
        "ListTags": {},
        "DeleteTags": {"TagKeys": ["a"]},
    }
    for operation, members in calls.items():
        with pytest.raises(NotOurs):
            sagemaker.call(operation, {"ResourceArn": MODEL, **members})
