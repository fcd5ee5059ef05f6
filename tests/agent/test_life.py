"""The life object: wishes, and silence that counts only where it was heard."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from cloudtune.agent.events import CRASH, SILENCE, WISH, Events
from cloudtune.agent.life import Life, LifeWatch
from cloudtune.agent.protocol import Keys
from cloudtune.agent.s3 import S3, Got, NotChanged
from cloudtune.agent.s3_errors import S3Denied, S3Error, S3Unreachable
from tests.agent.agent_job import PREFIX, task


class OneObject(S3):
    """A bucket with a life object, or without, or out of reach."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.error: Exception | None = None

    def get(self, key: str, etag: str | None = None) -> Got | None:
        assert key == Keys(PREFIX).life
        if self.error is not None:
            raise self.error
        if self.body is None:
            return None
        now = f'"{hash(self.body)}"'
        if now == etag:
            raise NotChanged(key)
        return Got(self.body, now)

    def write(self, **members: Any) -> None:
        self.body = json.dumps({"format": 1, "stop_all": None, "wishes": {}, **members}).encode()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bucket() -> OneObject:
    return OneObject()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def life(bucket: OneObject, clock: Clock) -> Life:
    return Life(bucket, task(), clock)


def look(life: Life, clock: Clock, after: float) -> float:
    clock.now += after
    life.look()
    return life.silence


def test_silence_is_time_between_reads_of_an_unchanged_object(bucket: OneObject, life: Life, clock: Clock) -> None:
    """A change is a sign of life; what time the tuner's clock has plays no part."""
    bucket.write(beat=1)
    assert look(life, clock, 5) == 0
    assert look(life, clock, 5) == 5
    assert look(life, clock, 7) == 12
    bucket.write(beat=2, unix=-1e9)
    assert look(life, clock, 5) == 0
    assert look(life, clock, 3) == 3


def test_time_in_which_reads_failed_does_not_count(bucket: OneObject, life: Life, clock: Clock) -> None:
    """An S3 that is down for an hour does not make the tuner dead."""
    bucket.write(beat=1)
    look(life, clock, 5)
    look(life, clock, 5)
    bucket.error = S3Unreachable("down")
    for _ in range(3):
        with pytest.raises(S3Error):
            look(life, clock, 1000)
    bucket.error = None
    assert look(life, clock, 1000) == 5, "the stretch with failures was counted"
    assert look(life, clock, 5) == 10


def test_a_missing_object_counts_as_unchanged(bucket: OneObject, life: Life, clock: Clock) -> None:
    """Somebody has deleted the experiment: its jobs do not run on for ever."""
    assert look(life, clock, 5) == 0
    assert look(life, clock, 5) == 5
    assert life.wish is None


@pytest.mark.parametrize(
    ("members", "wish"),
    [
        ({}, None),
        ({"wishes": {"7-2": "stop"}}, "stop"),
        ({"wishes": {"7-2": "pause"}, "stop_all": "stop"}, "pause"),
        ({"stop_all": "stop"}, "stop"),
        ({"stop_all": "pause"}, "pause"),
        ({"wishes": {"7-1": "stop", "17-2": "stop", "7-22": "stop"}}, None),
        ({"wishes": {"7-2": "a newer word"}}, "stop"),
        ({"wishes": None}, None),
        ({"wishes": [["7-2", "stop"]]}, None),
    ],
)
def test_wishes_are_read(bucket: OneObject, life: Life, members: dict[str, Any], wish: str | None) -> None:
    """One's own wish goes before the one for all; others' wishes are none of ours."""
    bucket.write(**members)
    life.look()
    assert life.wish == wish


@pytest.mark.parametrize("body", [b"", b"garbage", b"[]", b"3", b"\xff\xfe"])
def test_garbage_in_place_of_the_object_is_no_wish(bucket: OneObject, life: Life, body: bytes) -> None:
    """Who wrote it is no tuner, and nothing is ended for it."""
    bucket.body = body
    life.look()
    assert life.wish is None


def watch(life: Life, events: Events, notes: list[str], timeout: float = 0.0) -> LifeWatch:
    watching = LifeWatch(life, 0.001, timeout, events, notes.append)
    watching.start()
    return watching


def test_the_watch_tells_of_a_wish_once(bucket: OneObject, life: Life) -> None:
    """One event, whatever follows."""
    events = Events()
    bucket.write(wishes={"7-2": "pause"})
    watch(life, events, [])
    event = events.wait(60.0)
    assert event == (WISH, "pause")
    assert events.wait(0.05) is None


def test_the_watch_tells_of_silence(bucket: OneObject) -> None:
    """The sentence says how long it was."""
    events = Events()
    bucket.write()
    watch(Life(bucket, task()), events, [], timeout=0.01)
    event = events.wait(60.0)
    assert event is not None
    assert event.kind == SILENCE
    assert "sign of life" in event.detail


def test_the_watch_says_once_that_it_may_not_read(bucket: OneObject, life: Life) -> None:
    """People learn why wishes have no effect; the job goes on."""
    told = threading.Event()
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        told.set()

    bucket.error = S3Denied("no rights")
    events = Events()
    watching = LifeWatch(life, 0.001, 0.0, events, note)
    watching.start()
    assert told.wait(60.0)
    bucket.error = None
    bucket.write(stop_all="stop")
    assert events.wait(60.0) == (WISH, "stop")
    assert len(notes) == 1


def test_a_watch_that_fails_says_so(bucket: OneObject, life: Life) -> None:
    """An error of ours does not end in a job that nobody can stop."""
    events = Events()
    bucket.error = ZeroDivisionError("bug")
    notes: list[str] = []
    watch(life, events, notes)
    assert events.wait(60.0) == (CRASH, "the agent could not watch the tuner: ZeroDivisionError: bug")
    assert "Traceback" in notes[0]
