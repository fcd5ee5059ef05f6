"""When what is new is shipped: at once after silence, not too often, again after failures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune.agent import shipper as shipper_module
from cloudtune.agent.console import Console
from cloudtune.agent.events import CRASH, Events
from cloudtune.agent.outbox import Outbox
from cloudtune.agent.protocol import Keys
from cloudtune.agent.report_file import ReportFile
from cloudtune.agent.s3_errors import S3Denied
from cloudtune.agent.shipper import Shipper
from tests.agent.agent_job import PREFIX, task
from tests.agent.outbox_bucket import Bucket
from tests.localcloud.conftest import wait_until

HEAD = Keys(PREFIX).head(7, 2)


class Place:
    """A shipper at work, between a report file and a bucket in memory."""

    def __init__(self, folder: Path) -> None:
        self.bucket = Bucket()
        self.events = Events()
        self.notes = os.pipe()
        self.outbox = Outbox(self.bucket, task(), "algo-1", "job")
        self.file = folder / "reports.jsonl"
        self.fifo = folder / "wake"
        self.console = Console(self.notes[1])

    def start(self, put_interval: float) -> Shipper:
        self.outbox.put()
        reader = ReportFile(str(self.file), self.console.note)
        shipper = Shipper(self.outbox, reader, put_interval, 1000.0, self.events, self.console)
        shipper.start(str(self.fifo))
        return shipper

    def report(self, wake: bool = True) -> None:
        with self.file.open("a") as file:
            file.write('{"v": 0}\n')
        if wake:
            fd = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
            os.write(fd, b"7\n")
            os.close(fd)

    def count(self) -> int:
        return len(self.bucket.reports())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(shipper_module, "_LOOK_INTERVAL", 1000.0)  # only who wakes it sees it move
    return Place(tmp_path)


def until(happened: Callable[[], object], what: str) -> None:
    wait_until(happened, what, timeout=60.0)


def test_a_report_wakes_the_shipper(place: Place) -> None:
    """The Reporter writes into the pipe: nobody looks at the file again and again."""
    place.start(put_interval=0.0)
    place.report()
    until(lambda: place.count() == 1, "the first report")
    place.report()
    until(lambda: place.count() == 2, "the second report")
    assert len(place.bucket.read(HEAD)["reports"]) == 2


def test_the_first_report_after_silence_goes_at_once_and_the_next_waits(place: Place) -> None:
    """One put per interval, whatever a script reports; who has ended waits for nothing."""
    shipper = place.start(put_interval=1000.0)
    place.report()
    until(lambda: place.count() == 1, "the first report")
    puts = len(place.bucket.puts)
    for _ in range(5):
        place.report()
    assert shipper.take_in() == 6
    assert len(place.bucket.puts) == puts
    assert shipper.shipped() == 1
    shipper.hurry()
    until(lambda: place.count() == 6, "the rest")
    assert len(place.bucket.puts) == puts + 1


def test_a_new_state_does_not_hold_the_next_report_up(place: Place) -> None:
    """States are told at once, beside the interval."""
    shipper = place.start(put_interval=1000.0)
    place.outbox.state = "running"
    shipper.ask()
    until(lambda: place.bucket.read(HEAD)["state"] == "running", "the state")
    place.report()
    until(lambda: place.count() == 1, "the report")
    assert place.bucket.read(HEAD)["state"] == "running"


def test_a_ticket_tells_when_all_there_was_is_shipped(place: Place) -> None:
    """Also what no Reporter has woken us for."""
    shipper = place.start(put_interval=0.0)
    place.report(wake=False)
    ticket = shipper.ask()
    until(lambda: shipper.is_done(ticket), "the ticket")
    assert place.count() == 1


def test_a_failing_put_is_tried_again_for_ever(place: Place) -> None:
    """With growing waits, and one note."""
    shipper = place.start(put_interval=0.0)
    place.bucket.failures = ["lost before", "lost after", "lost before"]
    place.report()
    until(lambda: place.count() == 1 and shipper.shipped() == 1, "the report")
    assert place.console.flush(30.0)
    until(lambda: not place.outbox.has_news(), "the put")
    assert place.bucket.failures == []
    said = os.read(place.notes[0], 10_000).decode()
    assert said.count("goes on trying") == 1


def test_who_is_denied_is_known_to_be(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end does not wait as long for rights as for an S3 that is down."""

    def denied(key: str, body: bytes) -> str:
        raise S3Denied("no rights")

    shipper = place.start(put_interval=0.0)
    monkeypatch.setattr(place.bucket, "put", denied)
    place.report()
    until(lambda: shipper.denied, "the refusal")
    monkeypatch.undo()
    until(lambda: place.count() == 1 and not shipper.denied, "the report")
    assert len(place.bucket.read(HEAD)["reports"]) == 1


def test_a_shipper_that_fails_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread ends, the main thread is told."""

    def broken(key: str, body: bytes) -> str:
        raise ZeroDivisionError("bug")

    shipper = place.start(put_interval=0.0)
    monkeypatch.setattr(place.bucket, "put", broken)
    place.report()
    assert place.events.wait(60.0) == (CRASH, "the agent could not ship reports: ZeroDivisionError: bug")
    assert shipper.crashed


def test_where_no_pipe_can_be_made_reports_are_found_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without named pipes costs a second, no report."""
    monkeypatch.setattr(shipper_module, "_LOOK_INTERVAL", 0.01)
    place = Place(tmp_path)
    place.fifo = tmp_path / "no-such-folder" / "wake"
    place.start(put_interval=0.0)
    place.report(wake=False)
    until(lambda: place.count() == 1, "the report")
    assert not place.fifo.exists()
