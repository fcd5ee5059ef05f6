"""A log stream under any sequence of writes, delays and reads."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from moto import mock_aws

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.services.logs_api import OPERATIONS
from tests.localcloud.services.small_platform import CALLER, GROUP, SmallPlatform

STREAM = "job-a/algo-1-1"


class Tail:
    """A client that reads a stream by its forward tokens."""

    def __init__(self, platform: SmallPlatform) -> None:
        self.platform = platform
        self.token: str | None = None
        self.read: list[str] = []

    def step(self, limit: int) -> bool:
        """Reads a page; False at the end of the stream."""
        asked: dict[str, Any] = {"logGroupName": GROUP, "logStreamName": STREAM, "limit": limit, "startFromHead": True}
        if self.token is not None:
            asked["nextToken"] = self.token
        try:
            page = OPERATIONS["GetLogEvents"](self.platform.whole, CALLER, asked)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return False
        times = [event["timestamp"] for event in page["events"]]
        assert times == sorted(times)
        assert len(times) <= limit
        self.read += [event["message"] for event in page["events"]]
        at_end = page["nextForwardToken"] == self.token
        assert not (at_end and times)
        self.token = page["nextForwardToken"]
        return not at_end


class LogStoreStates(RuleBasedStateMachine):
    """One job writes, two clients tail, a third searches; lines are late and shuffled as the faults in force say."""

    @initialize()
    def begin(self) -> None:
        self.mock = mock_aws()
        self.mock.start()
        self.platform = SmallPlatform(seed=3)
        self.written = 0
        self.tails = [Tail(self.platform), Tail(self.platform)]

    def teardown(self) -> None:
        if not hasattr(self, "mock"):
            return
        try:
            self.platform.clock.at += 1_000
            for tail in self.tails:
                while tail.step(7):
                    pass
                assert Counter(tail.read) == Counter(str(number) for number in range(self.written))
        finally:
            self.mock.stop()

    @rule(offsets=st.lists(st.integers(0, 5), min_size=1, max_size=6))
    def write(self, offsets: list[int]) -> None:
        now = int(self.platform.clock.time() * 1000)
        lines = [(now - offset, str(self.written + number)) for number, offset in enumerate(offsets)]
        self.written += len(lines)
        self.platform.write(STREAM, *lines)

    @rule(
        kind=st.sampled_from(["late_logs", "shuffled_logs"]),
        seconds=st.floats(0.1, 10),
        share=st.sampled_from([0.5, 1.0]),
    )
    def go_wrong(self, kind: str, seconds: float, share: float) -> None:
        self.platform.faults.add(Fault(kind, job="job-a", seconds=seconds, probability=share))

    @rule()
    def go_right(self) -> None:
        self.platform.faults.clear()

    @rule(seconds=st.floats(0.001, 5))
    def pass_time(self, seconds: float) -> None:
        self.platform.clock.at += seconds

    @rule(which=st.integers(0, 1), limit=st.integers(1, 5))
    def tail(self, which: int, limit: int) -> None:
        self.tails[which].step(limit)

    @rule(limit=st.integers(1, 4), write_between=st.booleans(), ascending=st.booleans())
    def search(self, limit: int, write_between: bool, ascending: bool) -> None:
        """All pages of a search show each line once that was readable when it began, in order."""
        asked: dict[str, Any] = {"logGroupName": GROUP, "limit": limit, "startFromHead": ascending}
        self.platform.logs.deliver()
        readable = self.written - self.platform.logs.waiting()
        found: list[dict[str, Any]] = []
        if readable == 0:
            return
        for _ in range(readable):
            page = OPERATIONS["FilterLogEvents"](self.platform.whole, CALLER, asked)
            found += page["events"]
            if "nextToken" not in page:
                break
            asked["nextToken"] = page["nextToken"]
            if write_between:
                self.write([2])
        times = [event["timestamp"] for event in found]
        assert times == sorted(times, reverse=not ascending)
        assert len({event["message"] for event in found}) == len(found) == readable
        assert len({event["eventId"] for event in found}) == len(found)

    @invariant()
    def nothing_twice(self) -> None:
        for tail in getattr(self, "tails", []):
            assert len(set(tail.read)) == len(tail.read)


LogStoreStates.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLogStoreStates = LogStoreStates.TestCase
