"""Checkpoints that take longer to move than S3 may be out of reach: patience is for what does not get on."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudtune.agent import course as course_module
from cloudtune.agent.checkpoint_pace import Pace
from cloudtune.agent.connection import Connection, persist
from cloudtune.agent.course import Course
from cloudtune.agent.events import TERMINATE, Event, Events
from cloudtune.agent.log_outbox import NoOutbox
from cloudtune.agent.orders import Orders
from cloudtune.agent.s3 import S3
from cloudtune.agent.s3_errors import S3Unreachable
from cloudtune.localcloud import LocalCloud
from tests.agent.agent_job import ACCOUNT, BUCKET

HOURS = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 10 * HOURS

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def s3(local_cloud: LocalCloud) -> S3:
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    return S3(BUCKET, ACCOUNT, "us-east-1")


def test_an_upload_tells_that_it_gets_on(s3: S3, tmp_path: Path) -> None:
    """Whoever waits for it can tell it from one that hangs; one that finds no server has not got on."""
    path = tmp_path / "weights"
    path.write_bytes(bytes(9 * 1024 * 1024))
    before = time.monotonic()
    s3.upload_file(str(path), "weights")
    assert before <= s3.moved <= time.monotonic()


def test_an_upload_without_a_server_does_not_get_on(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its waiting comes to an end."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (tmp_path / "weights").write_bytes(bytes(9 * 1024 * 1024))
    nowhere = S3(BUCKET, ACCOUNT, "us-east-1")
    with pytest.raises(S3Unreachable):
        nowhere.upload_file(str(tmp_path / "weights"), "weights")
    assert nowhere.moved == 0.0


def test_the_last_save_may_take_hours_while_it_gets_on(s3: S3) -> None:
    """Ten minutes without a byte are the end of it; SIGTERM leaves two minutes, however well it goes."""
    clock, events = Clock(), Events()
    course = Course(events, {})
    course._orders = Orders(events, clock=clock)
    course._connection = Connection(NoOutbox(), s3)
    began = clock.now - 3 * HOURS
    assert course._time_to_save(began) < 0
    s3.moved = clock.now - 1
    assert course._time_to_save(began) == course_module._PATIENCE - 1
    clock.now += course_module._PATIENCE
    assert course._time_to_save(began) == -1
    s3.moved = clock.now
    course._orders.take(Event(TERMINATE))
    assert 0 < course._time_to_save(began) < 120


class LongCall:
    """Takes hours, and fails at the end of the first time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        self._clock.now += HOURS
        if self.times == 1:
            raise S3Unreachable("gone for a moment")
        return "done"


def test_a_call_that_fails_late_is_made_again() -> None:
    """An hour of uploading is not lost to the one failure at its end; what is refused from the start is given up."""
    clock = Clock()
    assert Pace(90.0, clock=clock).patiently(LongCall(clock)) == "done"
    call = LongCall(clock)
    with pytest.raises(S3Unreachable):
        Pace(0.0, clock=clock).patiently(call)
    assert call.times == 1


def test_a_restore_that_fails_late_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise for what goes before the script."""
    clock = Clock()
    monkeypatch.setattr("cloudtune.agent.connection.time", SimpleNamespace(monotonic=clock))
    assert persist(LongCall(clock), threading.Event()) == "done"
