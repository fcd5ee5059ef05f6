"""The server that kills itself at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.gate.timed_kill import TimedKill
from cloudtune.localcloud.settings import CloudSettings
from tests.localcloud.gate.stand_in import StandIn


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set in place of the death of this process."""
    event = threading.Event()

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGKILL)
        event.set()

    monkeypatch.setattr(os, "kill", kill)
    return event


@pytest.fixture
def server() -> Iterator[StandIn]:
    cloud = StandIn(CloudSettings(time_scale=1000.0))
    kill = TimedKill(cloud.platform)
    yield cloud
    kill.close()
    assert threads() == []


def threads() -> list[threading.Thread]:
    """Those that wait for the time to kill."""
    return [thread for thread in threading.enumerate() if "timed-kill" in thread.name]


def test_it_dies_when_the_time_has_come(server: StandIn, killed: threading.Event) -> None:
    """In cloud time, although nobody calls; an earlier fault that is added later comes first."""
    server.faults.add(Fault("kill_server", after=10_000_000))
    assert not killed.wait(0.2)
    server.faults.add(Fault("kill_server", after=server.clock.elapsed() + 50, count=1))
    assert killed.wait(30)
    assert [fired.kind for fired in server.faults.fired()] == ["kill_server"]


def test_a_fault_that_is_taken_back_does_not_kill(server: StandIn, killed: threading.Event) -> None:
    """Nor one for certain calls, nor one that the draw spares."""
    number = server.faults.add(Fault("kill_server", after=server.clock.elapsed() + 100_000))
    server.faults.add(Fault("kill_server", after=1, operation="s3:PutObject"))
    server.faults.add(Fault("kill_server", after=1, probability=0))
    server.faults.remove(number)
    for thread in threads():
        thread.join(60)
        assert not thread.is_alive(), "there is nothing to wait for any more"
    assert not killed.is_set()
    assert server.faults.fired() == []


def test_a_closed_server_is_left_alone(killed: threading.Event) -> None:
    """Faults that come due after its end kill nobody."""
    cloud = StandIn(CloudSettings(time_scale=1000.0))
    kill = TimedKill(cloud.platform)
    cloud.faults.add(Fault("kill_server", after=cloud.clock.elapsed() + 100_000))
    assert len(threads()) == 1
    kill.close()
    cloud.faults.add(Fault("kill_server", after=1))
    assert threads() == []
    assert not killed.is_set()
