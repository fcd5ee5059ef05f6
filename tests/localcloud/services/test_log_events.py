"""Putting and getting log events through boto3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.localcloud.in_process import InProcessCloud
from tests.localcloud.services.small_platform import CALLER, GROUP

STREAM = "job-a/algo-1-1"
DAY = 24 * 3_600_000


@pytest.fixture
def cloud() -> Iterator[InProcessCloud]:
    with InProcessCloud(run_jobs=False) as open_cloud:
        yield open_cloud


@pytest.fixture
def logs(cloud: InProcessCloud) -> Any:
    return cloud.client("logs")


def now() -> int:
    return int(time.time() * 1000)


def write(cloud: InProcessCloud, *messages: str, stream: str = STREAM, at: int | None = None) -> None:
    """As a job does."""
    moment = now() if at is None else at
    lines = [(moment, message) for message in messages]
    cloud.platform.logs.put(CALLER.account, CALLER.region, GROUP, stream, lines)


def put(logs: Any, *lines: tuple[int, str]) -> Any:
    """As a client does."""
    events = [{"timestamp": moment, "message": message} for moment, message in lines]
    return logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)


def get(logs: Any, **asked: Any) -> Any:
    return logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, **asked)


def messages(page: Any) -> list[str]:
    return [event["message"] for event in page["events"]]


def code(failure: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = failure.value.response["Error"]
    return error["Code"], error["Message"]


def test_jobs_and_clients_write_to_one_stream(cloud: InProcessCloud, logs: Any) -> None:
    """Lines of a job and events put by a client are read together, and moto's own operations see the group."""
    write(cloud, "from the job")
    put(logs, (now(), "from a client"))
    assert sorted(messages(get(logs))) == ["from a client", "from the job"]
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == [GROUP]
    assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == len("from a client" + "from the job")
    logs.delete_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    with pytest.raises(ClientError) as gone:
        get(logs)
    assert code(gone)[0] == "ResourceNotFoundException"
    logs.delete_log_group(logGroupName=GROUP)
    write(cloud, "again")
    assert messages(get(logs)) == ["again"]


def test_a_stream_exists_from_its_first_line_on(cloud: InProcessCloud, logs: Any) -> None:
    """Before: ResourceNotFoundException, for the group first, then for the stream."""
    with pytest.raises(ClientError) as no_group:
        get(logs)
    assert code(no_group) == ("ResourceNotFoundException", "The specified log group does not exist.")
    write(cloud, "x", stream="other/algo-1-1")
    with pytest.raises(ClientError) as no_stream:
        get(logs)
    assert code(no_stream) == ("ResourceNotFoundException", "The specified log stream does not exist.")


def test_a_stream_made_by_moto_is_taken_over_with_its_events(logs: Any) -> None:
    """CreateLogStream is moto's; what is put to the stream then is ours, and the stream stays the same one."""
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    described = logs.describe_log_streams(logGroupName=GROUP)["logStreams"][0]
    assert "lastEventTimestamp" not in described
    put(logs, (now(), "one"), (now() + 1, "two"))
    described = logs.describe_log_streams(logGroupName=GROUP)["logStreams"][0]
    assert described["lastEventTimestamp"] >= described["firstEventTimestamp"]
    assert messages(get(logs)) == ["one", "two"]


def test_lines_out_of_time_are_left_out_and_told_of(cloud: InProcessCloud, logs: Any) -> None:
    """Older than 14 days: up to an index; more than 2 hours ahead: from an index; the rest is taken."""
    write(cloud, "first")
    answer = put(logs, (now() - 15 * DAY, "old"), (now(), "fine"), (now() + DAY // 2, "ahead"))
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
    assert messages(get(logs)) == ["first", "fine"]
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    answer = put(logs, (now() - 2 * DAY, "expired"))
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([(5, "b"), (4, "a")], "chronological order"),
        ([(-3 * DAY, "a"), (0, "b")], "more than 24 hours"),
        ([(0, "x" * 1_048_576)], "Log event too large: 1048602 bytes"),
        ([(0, "x" * 600_000), (0, "y" * 600_000)], "Upload too large: 1200052 bytes"),
        ([(0, "x")] * 10_001, "less than or equal to 10000"),
    ],
)
def test_bad_batches_are_refused_whole(
    cloud: InProcessCloud, logs: Any, lines: list[tuple[int, str]], text: str
) -> None:
    """AWS's limits of a batch, each with InvalidParameterException; nothing of the batch is taken."""
    write(cloud, "first")
    base = now()
    with pytest.raises(ClientError) as refused:
        put(logs, *((base + offset, message) for offset, message in lines))
    assert code(refused)[0] == "InvalidParameterException"
    assert text in code(refused)[1]
    assert messages(get(logs)) == ["first"]


def test_a_page_is_the_newest_lines_unless_asked_from_the_head(cloud: InProcessCloud, logs: Any) -> None:
    """Both directions give lines oldest first, and the tokens lead through all of them and back."""
    start = now()
    for number in range(10):
        write(cloud, str(number), at=start + number)
    assert messages(get(logs, limit=3)) == ["7", "8", "9"]
    page = get(logs, limit=4, startFromHead=True)
    seen = messages(page)
    while page["events"]:
        page = get(logs, limit=4, startFromHead=True, nextToken=page["nextForwardToken"])
        seen += messages(page)
    assert seen == [str(number) for number in range(10)]
    backwards: list[str] = []
    token = page["nextBackwardToken"]
    while True:
        page = get(logs, limit=4, nextToken=token)
        backwards = messages(page) + backwards
        if page["nextBackwardToken"] == token:
            break
        token = page["nextBackwardToken"]
    assert backwards == [str(number) for number in range(10)]


def test_the_token_at_the_end_stays_and_later_gives_only_what_is_new(cloud: InProcessCloud, logs: Any) -> None:
    """Also lines that arrive with a time that the reader has passed come once, and only once."""
    start = now()
    write(cloud, "a", "b", at=start)
    token = get(logs, startFromHead=True)["nextForwardToken"]
    page = get(logs, startFromHead=True, nextToken=token)
    assert (messages(page), page["nextForwardToken"]) == ([], token)
    write(cloud, "late", at=start - 1000)
    page = get(logs, startFromHead=True, nextToken=token)
    assert messages(page) == ["late"]
    assert messages(get(logs, startFromHead=True, nextToken=page["nextForwardToken"])) == []
    assert messages(get(logs, startFromHead=True)) == ["late", "a", "b"]


def test_a_time_range_includes_its_start_and_not_its_end(cloud: InProcessCloud, logs: Any) -> None:
    """GetLogEvents' bounds, as its reference has them; FilterLogEvents includes the end."""
    start = now()
    for number in range(5):
        write(cloud, str(number), at=start + number)
    assert messages(get(logs, startTime=start + 1, endTime=start + 3)) == ["1", "2"]
    found = logs.filter_log_events(logGroupName=GROUP, startTime=start + 1, endTime=start + 3)
    assert messages(found) == ["1", "2", "3"]


def test_a_page_holds_a_mebibyte(cloud: InProcessCloud, logs: Any) -> None:
    """However few lines that are; the token leads on."""
    write(cloud, *("x" * 400_000 for _ in range(5)))
    page = get(logs, startFromHead=True)
    assert len(page["events"]) == 2
    assert len(get(logs, startFromHead=True, nextToken=page["nextForwardToken"])["events"]) == 2
    assert len(logs.filter_log_events(logGroupName=GROUP)["events"]) == 2


@pytest.mark.parametrize("token", ["f/0/s", "x", "f/" + "0" * 54 + "/s"])
def test_a_token_of_nowhere_is_refused(cloud: InProcessCloud, logs: Any, token: str) -> None:
    """Made-up tokens, and those of another stream: InvalidParameterException."""
    write(cloud, "a")
    with pytest.raises(ClientError) as refused:
        get(logs, nextToken=token)
    assert code(refused) == ("InvalidParameterException", "The specified nextToken is invalid.")
    write(cloud, "b", stream="other/algo-1-1")
    token = logs.get_log_events(logGroupName=GROUP, logStreamName="other/algo-1-1")["nextForwardToken"]
    with pytest.raises(ClientError):
        get(logs, nextToken=token)


def test_odd_text_comes_back_as_it_was(cloud: InProcessCloud, logs: Any) -> None:
    """Letters of many bytes, and halves of surrogate pairs, as a job may write them."""
    write(cloud, "äöü 漢字 \U0001f600", "\ud800 alone")
    assert messages(get(logs)) == ["äöü 漢字 \U0001f600", "\ud800 alone"]
