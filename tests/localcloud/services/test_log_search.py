"""Finding log events and streams through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.localcloud.services.filter_pattern import FilterPattern
from tests.localcloud.services.small_platform import CALLER, GROUP


@pytest.fixture
def cloud() -> Iterator[InProcessCloud]:
    with InProcessCloud(run_jobs=False) as open_cloud:
        yield open_cloud


@pytest.fixture
def logs(cloud: InProcessCloud) -> Any:
    return cloud.client("logs")


def write(cloud: InProcessCloud, stream: str, *lines: tuple[int, str]) -> None:
    cloud.platform.logs.put(CALLER.account, CALLER.region, GROUP, stream, lines)


def found(logs: Any, **asked: Any) -> list[str]:
    return [event["message"] for event in logs.filter_log_events(logGroupName=GROUP, **asked)["events"]]


def test_lines_of_many_streams_come_in_order_of_time(cloud: InProcessCloud, logs: Any) -> None:
    """By prefix or by name of the streams, oldest first, or newest first where asked so."""
    write(cloud, "job-1/algo-1-9", (3, "c"), (1, "a"))
    write(cloud, "job-1/algo-2-9", (2, "b"))
    write(cloud, "job-10/algo-1-9", (2, "other"))
    assert found(logs, logStreamNamePrefix="job-1/") == ["a", "b", "c"]
    assert found(logs, logStreamNamePrefix="job-1/", startFromHead=False) == ["c", "b", "a"]
    assert found(logs, logStreamNames=["job-10/algo-1-9"]) == ["other"]
    assert found(logs) == ["a", "b", "other", "c"]
    assert found(logs, logStreamNamePrefix="nobody") == []
    event = logs.filter_log_events(logGroupName=GROUP, limit=1)["events"][0]
    assert set(event) == {"logStreamName", "timestamp", "message", "ingestionTime", "eventId"}


def test_pages_follow_each_other_without_doubles(cloud: InProcessCloud, logs: Any) -> None:
    """Lines of one millisecond in several streams, page by page, while more arrive: each once."""
    for stream in ("a", "b", "c"):
        write(cloud, stream, *((7, f"{stream}{number}") for number in range(5)))
    paginator = logs.get_paginator("filter_log_events")
    seen: list[str] = []
    for page in paginator.paginate(logGroupName=GROUP, limit=2):
        seen += [event["message"] for event in page["events"]]
        write(cloud, "a", (1, "new"))
    assert sorted(seen) == sorted(f"{stream}{number}" for stream in "abc" for number in range(5))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"logStreamNames": ["a"], "logStreamNamePrefix": "a"}, "InvalidParameterException"),
        ({"logStreamNames": ["missing"]}, "ResourceNotFoundException"),
        ({"limit": 10_001}, "InvalidParameterException"),
        ({"nextToken": "nonsense"}, "InvalidParameterException"),
        ({"filterPattern": "{ $.x = 1 }"}, "InvalidParameterException"),
        ({"logGroupName": "missing"}, "ResourceNotFoundException"),
    ],
)
def test_bad_searches_are_refused(cloud: InProcessCloud, logs: Any, asked: dict[str, Any], code: str) -> None:
    """With AWS's codes."""
    write(cloud, "a", (1, "line"))
    with pytest.raises(ClientError) as refused:
        logs.filter_log_events(**{"logGroupName": GROUP, **asked})
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("", ["ERROR disk full", "error none", "WARN disk", "[x=1] done"]),
        ("ERROR", ["ERROR disk full"]),
        ("disk -ERROR", ["WARN disk"]),
        ('"disk full"', ["ERROR disk full"]),
        ('-"disk full" disk', ["WARN disk"]),
        ("?ERROR ?WARN", ["ERROR disk full", "WARN disk"]),
        ("disk ?nothing", ["ERROR disk full", "WARN disk"]),
        ('"[x=1]"', ["[x=1] done"]),
        (r'"no \" quote"', []),
    ],
)
def test_patterns_keep_what_they_name(cloud: InProcessCloud, logs: Any, pattern: str, kept: list[str]) -> None:
    """Terms, phrases, -excluded and ?optional ones; upper and lower case differ."""
    messages = ["ERROR disk full", "error none", "WARN disk", "[x=1] done"]
    write(cloud, "a", *enumerate(messages, start=1))
    assert found(logs, filterPattern=pattern) == kept


@pytest.mark.parametrize("pattern", ["{ $.level = 1 }", "[a, b]", "%regex%", "x.y", '"open', "- x", "a?b"])
def test_patterns_of_other_kinds_are_refused(pattern: str) -> None:
    """Never taken for "everything", which moto does."""
    with pytest.raises(AwsError) as refused:
        FilterPattern.parse(pattern)
    assert refused.value.code == "InvalidParameterException"


def test_streams_are_listed_by_name_and_by_time(cloud: InProcessCloud, logs: Any) -> None:
    """In both orders and directions, over pages; by time not with a prefix."""
    for number in range(7):
        write(cloud, f"s{number}", (100 - number, "x"))

    def listed(**asked: Any) -> list[str]:
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": 3}, **asked
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    names = [f"s{number}" for number in range(7)]
    assert listed() == names
    assert listed(descending=True) == names[::-1]
    assert listed(orderBy="LastEventTime") == names[::-1]
    assert listed(orderBy="LastEventTime", descending=True) == names
    assert listed(logStreamNamePrefix="s3") == ["s3"]
    with pytest.raises(ClientError) as refused:
        listed(orderBy="LastEventTime", logStreamNamePrefix="s")
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
