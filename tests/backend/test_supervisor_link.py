"""A supervisor of an earlier tuner that does not give way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from cloudtune.backend import LocalBackend, supervisor_link
from cloudtune.errors import BackendBroken
from cloudtune.trial import Outcome, Trial
from tests.contracts import training_program
from tests.contracts.backend_driver import Driver
from tests.contracts.local_process_contract import open_descriptors
from tests.own_children import own_children


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A backend that loses patience at once."""
    monkeypatch.setattr(supervisor_link, "_LOCK_PATIENCE", 0.1)
    monkeypatch.setattr(supervisor_link, "_PATIENCE", 0.0)
    return Driver(LocalBackend(training_program.__file__, stop_grace=0.1), tmp_path)


def take_lock(folder: Path) -> int:
    """Takes the lock as a supervisor would that nothing can end."""
    fd = os.open(folder / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_opening(driver: Driver, tmp_path: Path) -> None:
    """The backend does not wait for ever: it says where to look, holds nothing, and works once the other is gone."""
    before = open_descriptors()
    lock = take_lock(tmp_path)
    with pytest.raises(BackendBroken, match=rf"another process still runs trials of the experiment in {tmp_path}"):
        driver.open()
    os.close(lock)
    assert open_descriptors() == before
    driver.open()
    driver.start(0)
    assert driver.end_of(0).outcome is Outcome.completed
    driver.backend.close(stop_running=True)


def test_starting_anew(driver: Driver, tmp_path: Path) -> None:
    """Nor when its own supervisor has died, and another tuner's is there already."""
    driver.open()
    [supervisor] = own_children()
    driver.start(0, reports=1, hold=True)
    driver.wait_for_reports(0, 1)
    supervisor.kill()
    driver.end_of(0)
    lock = take_lock(tmp_path)
    os.write(lock, b"12345")
    with pytest.raises(BackendBroken, match=r"another process \(process 12345\) still runs"):
        driver.backend.resume_trial(Trial(0, {}, attempt=1))
    os.close(lock)
    driver.backend.close(stop_running=True)
