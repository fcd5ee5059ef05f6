"""Which order counts, and how much time is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cloudtune.agent.agent_errors import Over
from cloudtune.agent.ending import end_form, exit_status, failure_text, how_it_ended
from cloudtune.agent.events import CRASH, LOOK, SILENCE, TERMINATE, WISH, Event, Events
from cloudtune.agent.orders import Orders


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        (Event(TERMINATE), "terminated", "the container was sent SIGTERM"),
        (Event(WISH, "stop"), "stopped", ""),
        (Event(WISH, "pause"), "paused", ""),
        (Event(SILENCE, "no tuner"), "paused", "no tuner"),
        (Event(CRASH, "bug"), "failed", "bug"),
    ],
)
def test_the_first_order_counts(event: Event, outcome: str, reason: str) -> None:
    """Whatever follows, the outcome is that of the first."""
    orders = Orders(Events())
    orders.take(None)
    orders.take(Event(LOOK))
    assert orders.order is None
    orders.take(event)
    orders.take(Event(WISH, "stop"))
    orders.take(Event(TERMINATE))
    assert orders.order is not None
    assert (orders.order.outcome, orders.order.reason) == (outcome, reason)


def test_sigterm_bounds_the_time_that_is_left() -> None:
    """The platform kills after 120 seconds: all is planned for 100 from the first SIGTERM on."""
    clock = Clock()
    orders = Orders(Events(), clock)
    assert orders.time_left(600.0, since=clock.now - 10) == 590.0
    orders.take(Event(WISH, "pause"))
    assert not orders.terminated
    orders.take(Event(TERMINATE))
    clock.now += 30
    orders.take(Event(TERMINATE))
    assert orders.terminated
    assert orders.time_left(600.0, since=clock.now) == 70.0
    assert orders.time_left(20.0, since=clock.now) == 20.0


def test_all_that_has_arrived_is_taken() -> None:
    """In order of arrival."""
    events = Events()
    orders = Orders(events)
    for kind, detail in ((LOOK, ""), (WISH, "pause"), (TERMINATE, "")):
        events.post(kind, detail)
    orders.take_all()
    assert orders.order is not None
    assert orders.order.outcome == "paused"
    assert orders.terminated


def test_signals_become_events() -> None:
    """Also while the main thread waits for one: the handler wakes it."""
    program = """
import os, signal, threading
from cloudtune.agent.events import Events
events = Events()
events.install()
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
print(events.wait(60.0).kind)
os.kill(os.getpid(), signal.SIGINT)
print(events.wait(60.0).kind)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=os.getcwd(), timeout=60
    )
    assert done.stdout.split() == ["terminate", "terminate"]


@pytest.mark.parametrize(
    ("code", "number", "order", "outcome", "status"),
    [
        (0, None, None, "completed", 0),
        (3, None, None, "failed", 3),
        (None, signal.SIGSEGV, None, "failed", 139),
        (None, 40, None, "failed", 168),
        (1, None, Over("stopped"), "stopped", 0),
        (None, 15, Over("paused"), "paused", 0),
        (0, None, Over("terminated"), "terminated", 143),
        (0, None, Over("failed", "bug"), "failed", 1),
    ],
)
def test_outcome_and_exit_status(
    code: int | None, number: int | None, order: Over | None, outcome: str, status: int
) -> None:
    """An order that reached the script decides; else its own exit does."""
    over = how_it_ended("train.py", code, number, order)
    assert over.outcome == outcome
    assert exit_status(over) == status
    assert end_form(over, "out")["output"] == "out"


def test_the_failure_file_begins_with_a_sentence_and_fits() -> None:
    """SageMaker shows 1,024 characters of it."""
    over = Over("failed", "it broke\nbadly")
    assert failure_text(over, "") == "it broke badly"
    text = failure_text(over, "y" * 5000 + "last")
    assert text.startswith("it broke badly\nyyy")
    assert text.endswith("last")
    assert len(text) == 1024
    assert len(failure_text(Over("failed", "z" * 5000), "out")) == 1024
    assert failure_text(Over("failed"), "") == "the job failed"
