"""When checkpoints are saved, and what becomes of those that cannot be."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.console import Console
from cloudtune.agent.events import CRASH, LOOK, Events
from cloudtune.agent.outbox import Outbox
from cloudtune.agent.report_file import ReportFile
from cloudtune.agent.s3_errors import S3Denied, S3Unreachable
from cloudtune.agent.saver import Saver
from cloudtune.agent.shipper import Shipper
from tests.agent.agent_job import task
from tests.agent.outbox_bucket import Bucket


class Ordered(Checkpoints):
    """Saves, or fails, as ordered."""

    def __init__(self, outcomes: list[str | Exception]) -> None:
        self.outcomes = outcomes
        self.asked: list[bool] = []

    def save_if_due(self, reports_shipped: Callable[[], int], now: bool = False) -> str | None:
        self.asked.append(now)
        return self._next()

    def save_final(
        self, reports_shipped: Callable[[], int], killed: bool = False, ended: float | None = None
    ) -> str | None:
        return self._next()

    def _next(self) -> str | None:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Place:
    def __init__(self, folder: Path, outcomes: list[str | Exception]) -> None:
        self.events = Events()
        self.console = Console(os.open(os.devnull, os.O_WRONLY))
        self.outbox = Outbox(Bucket(), task(), "algo-1", "job")
        reader = ReportFile(str(folder / "reports"), self.console.note)
        shipper = Shipper(self.outbox, reader, 0.0, 1000.0, self.events, self.console)
        self.checkpoints = Ordered(outcomes)
        self.saver = Saver(self.checkpoints, shipper, self.events, self.console)


def test_the_last_checkpoint_is_tried_again_while_s3_is_down(tmp_path: Path) -> None:
    """Until it is saved, and the tuner learns of it."""
    place = Place(tmp_path, [S3Unreachable("down"), S3Unreachable("down"), "generation"])
    assert place.saver.save_final(False, 0.0, threading.Event()) == ""
    assert place.outbox.checkpoint == "generation"


@pytest.mark.parametrize("error", [S3Denied("no rights"), OSError("disk"), ZeroDivisionError("bug")])
def test_what_trying_again_does_not_mend_is_told(tmp_path: Path, error: Exception) -> None:
    """At once: the end mark is still to be written, whatever went wrong."""
    place = Place(tmp_path, [error, "generation"])
    assert str(error) in place.saver.save_final(False, 0.0, threading.Event())
    assert place.outbox.checkpoint is None


def test_who_has_no_time_gives_up(tmp_path: Path) -> None:
    """The platform is about to kill the container."""
    place = Place(tmp_path, [S3Unreachable("down")] * 1000)
    given_up = threading.Event()
    threading.Timer(0.05, given_up.set).start()
    assert place.saver.save_final(False, 0.0, given_up) == "down"
    assert place.saver.save_final(False, 0.0, given_up) == "there was no time"


def test_a_checkpoint_is_saved_at_once_when_asked_for(tmp_path: Path) -> None:
    """Before a script is told to end; who waits for it is told."""
    place = Place(tmp_path, ["generation"])
    place.saver.start()
    place.saver.save_now()
    assert place.events.wait(60.0) == (LOOK, "")
    assert place.saver.is_saved
    assert place.outbox.checkpoint == "generation"
    assert place.checkpoints.asked[-1] is True
    place.saver.end()


def test_a_saver_that_fails_says_so(tmp_path: Path) -> None:
    """Its thread ends, the main thread is told."""
    place = Place(tmp_path, [ZeroDivisionError("bug")])
    place.saver.start()
    place.saver.save_now()
    assert place.events.wait(60.0) == (CRASH, "the agent could not save checkpoints: ZeroDivisionError: bug")
