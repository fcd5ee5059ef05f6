"""Late and shuffled delivery of log lines, and what the store keeps of them."""

from __future__ import annotations

import gc
import pickle
import threading
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.core.models import MockAWS
from moto.logs.models import LogEvent, logs_backends

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.services.log_lines import LogLines
from cloudtune.localcloud.services.log_stream import CompactLogStream
from cloudtune.localcloud.services.logs_api import OPERATIONS
from tests.localcloud.services.small_platform import CALLER, GROUP, SmallPlatform

STREAM = "job-a/algo-1-1"


@pytest.fixture
def mock() -> Iterator[MockAWS]:
    with mock_aws() as active:
        yield active


@pytest.fixture
def platform(mock: MockAWS) -> SmallPlatform:
    return SmallPlatform(seed=5)


def read(platform: SmallPlatform, stream: str = STREAM) -> list[str]:
    asked: dict[str, Any] = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": True}
    page = OPERATIONS["GetLogEvents"](platform.whole, CALLER, asked)
    return [event["message"] for event in page["events"]]


def exists(platform: SmallPlatform) -> bool:
    try:
        read(platform)
    except AwsError:
        return False
    return True


def test_late_lines_can_be_read_when_their_time_has_come(platform: SmallPlatform) -> None:
    """Until then not even the stream exists; other jobs are spared."""
    platform.faults.add(Fault("late_logs", job="job-a", seconds=10))
    platform.write(STREAM, (1, "late"))
    platform.write("job-b/algo-1-1", (1, "at once"))
    assert not exists(platform)
    assert read(platform, "job-b/algo-1-1") == ["at once"]
    platform.clock.at = 9.9
    assert not exists(platform)
    platform.clock.at = 10
    assert read(platform) == ["late"]
    assert platform.logs.waiting() == 0


def test_shuffled_lines_arrive_one_by_one_in_another_order(platform: SmallPlatform) -> None:
    """Every line comes within its time; the order of arrival is not that of writing, and the seed decides it."""
    platform.faults.add(Fault("shuffled_logs", resource=f"{GROUP}/job-*", seconds=100))
    platform.write(STREAM, *((number, str(number)) for number in range(50)))
    counts = []
    for moment in (0, 25, 50, 75, 100):
        platform.clock.at = moment
        counts.append(len(read(platform)) if exists(platform) else 0)
    assert counts == sorted(counts)
    assert 0 < counts[2] < 50
    assert counts[-1] == 50
    stream = logs_backends[CALLER.account][CALLER.region].groups[GROUP].streams[STREAM]
    lines = stream.lines  # type: ignore[attr-defined]
    arrived = [lines.text(position) for position in range(50)]
    assert arrived != sorted(arrived, key=int)
    assert read(platform) == [str(number) for number in range(50)]


def test_lines_on_their_way_are_of_no_use_after_a_reset(platform: SmallPlatform) -> None:
    """moto's reset takes the log groups; lines written before do not bring them back."""
    platform.faults.add(Fault("late_logs", seconds=10))
    platform.write(STREAM, (1, "late"))
    logs_backends[CALLER.account][CALLER.region].reset()
    platform.clock.at = 20
    assert not exists(platform)


def test_a_closed_store_leaves_nothing(platform: SmallPlatform) -> None:
    """No thread was ever needed for late lines, and none of them is kept."""
    threads = threading.active_count()
    platform.faults.add(Fault("late_logs", seconds=10))
    platform.write(STREAM, *((number, "x") for number in range(1000)))
    assert threading.active_count() == threads
    platform.logs.close()
    assert platform.logs.waiting() == 0


def test_everything_can_be_delivered_at_once(platform: SmallPlatform) -> None:
    """For whoever keeps the state of a cloud that goes down."""
    platform.faults.add(Fault("late_logs", seconds=1e6))
    platform.write(STREAM, (1, "late"))
    platform.logs.deliver(everything=True)
    assert read(platform) == ["late"]


def test_a_line_costs_little_more_than_its_text(platform: SmallPlatform) -> None:
    """moto makes an object of half a kilobyte for each line; here it is some 20 bytes beside the text."""
    lines = [(number, f"epoch={number:06d} loss=0.123456 accuracy=0.98765") for number in range(20_000)]
    text = sum(len(message) for _, message in lines)
    kept = LogLines()
    tracemalloc.start()
    try:
        for begin in range(0, len(lines), 100):
            kept.append(lines[begin : begin + 100], begin + 1)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used < text + 32 * len(lines)


def test_moto_does_not_remember_our_lines(platform: SmallPlatform) -> None:
    """Neither lines nor streams are in moto's lists of instances: a deleted stream is gone."""
    before = len(LogEvent.instances_tracked)  # type: ignore[attr-defined]
    platform.write(STREAM, *((number, "x") for number in range(100)))
    group = logs_backends[CALLER.account][CALLER.region].groups[GROUP]
    watched = weakref.ref(group.streams[STREAM])
    assert len(LogEvent.instances_tracked) == before  # type: ignore[attr-defined]
    group.delete_log_stream(STREAM)
    gc.collect()
    assert watched() is None


def test_moto_can_still_read_and_write_our_streams(platform: SmallPlatform) -> None:
    """Its other services write events with their own method, and Insights reads events as objects."""
    platform.write(STREAM, (2, "b"))
    backend = logs_backends[CALLER.account][CALLER.region]
    backend.groups[GROUP].put_log_events(STREAM, [{"timestamp": 1, "message": "a"}])
    assert [event.message for event in backend.groups[GROUP].streams[STREAM].events] == ["a", "b"]
    assert read(platform) == ["a", "b"]


def test_a_stream_survives_pickling(platform: SmallPlatform) -> None:
    """For whoever keeps moto's state in a file: tokens and lines are as before, and it can be written on."""
    platform.write(STREAM, (1, "a"))
    asked: dict[str, Any] = {"logGroupName": GROUP, "logStreamName": STREAM, "startFromHead": True}
    token = OPERATIONS["GetLogEvents"](platform.whole, CALLER, asked)["nextForwardToken"]
    groups = logs_backends[CALLER.account][CALLER.region].groups
    groups[GROUP] = pickle.loads(pickle.dumps(groups[GROUP]))
    platform.write(STREAM, (2, "b"))
    page = OPERATIONS["GetLogEvents"](platform.whole, CALLER, {**asked, "nextToken": token})
    assert [event["message"] for event in page["events"]] == ["b"]


def test_many_threads_write_and_read_at_once(platform: SmallPlatform) -> None:
    """Every line is there once, and no reader sees one twice."""
    failures: list[BaseException] = []
    done = threading.Event()

    def write(number: int) -> None:
        for index in range(200):
            platform.write(f"job-{number}/algo-1-1", (index, f"{number}-{index}"))

    def search() -> None:
        try:
            while not done.is_set():
                page = OPERATIONS["FilterLogEvents"](platform.whole, CALLER, {"logGroupName": GROUP})
                found = [event["message"] for event in page["events"]]
                assert len(set(found)) == len(found)
        except BaseException as error:
            failures.append(error)
            raise

    platform.write("job-0/algo-1-1", (0, "first"))
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    reader = threading.Thread(target=search)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not failures
    assert sum(len(read(platform, f"job-{number}/algo-1-1")) for number in range(4)) == 801


def test_a_stream_of_the_same_name_is_another_one(platform: SmallPlatform) -> None:
    """A token of a deleted stream is refused by the stream that took its name, and holds for one that was kept."""
    asked: dict[str, Any] = {"logGroupName": GROUP, "logStreamName": STREAM, "startFromHead": True}
    platform.write(STREAM, (1, "a"))
    token = OPERATIONS["GetLogEvents"](platform.whole, CALLER, asked)["nextForwardToken"]
    group = logs_backends[CALLER.account][CALLER.region].groups[GROUP]
    old = group.streams.pop(STREAM)
    platform.write(STREAM, (2, "b"))
    with pytest.raises(AwsError):
        OPERATIONS["GetLogEvents"](platform.whole, CALLER, {**asked, "nextToken": token})
    kept = CompactLogStream(group, STREAM, platform.logs.arrivals)
    kept.creation_time = old.creation_time
    kept.write([(1, "a"), (3, "c")])
    group.streams[STREAM] = kept
    page = OPERATIONS["GetLogEvents"](platform.whole, CALLER, {**asked, "nextToken": token})
    assert [event["message"] for event in page["events"]] == ["c"]
