"""Forks of the supervisor, where the system grants none."""

from __future__ import annotations

import errno
from pathlib import Path

import psutil
import pytest

from cloudtune.backend import PythonBackend
from cloudtune.trial import Outcome
from tests.contracts.backend_driver import Driver
from tests.contracts.training_program import train
from tests.own_children import own_children

#: Python imports this before anything else: in it, as many forks fail as the file ``fail`` has letters.
NO_PROCESSES_LEFT = """
import os
import errno
from pathlib import Path

fork = os.fork
fail = Path(__file__).with_name("fail")


def fork_if_there_is_room():
    left = fail.read_text()
    if left:
        fail.write_text(left[1:])
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()


os.fork = fork_if_there_is_room
"""


@pytest.mark.parametrize("reuse", [False, True])
def test_too_many_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reuse: bool) -> None:
    """A fork that fails fails its trial, costs no descriptor, and leaves the supervisor as attentive as it was."""
    (tmp_path / "sitecustomize.py").write_text(NO_PROCESSES_LEFT)
    (tmp_path / "fail").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    driver = Driver(PythonBackend(train, reuse_processes=reuse), tmp_path)
    driver.open()
    try:
        [supervisor] = own_children()
        for trial_id in (0, 1):
            driver.start(trial_id, reports=1, hold=True)
            driver.wait_for_reports(trial_id, 1)
        (tmp_path / "fail").write_text("xx")
        descriptors = []
        for trial_id in (2, 3):
            driver.start(trial_id)
            assert f"could not be started: [Errno {errno.EAGAIN}]" in driver.end_of(trial_id).reason
            descriptors.append(supervisor.num_fds())
        assert descriptors[0] == descriptors[1]
        psutil.Process(driver.reports(0)[0].metrics["pid"]).kill()
        assert "SIGKILL" in driver.end_of(0).reason
        supervisor.terminate()
        assert driver.end_of(1).outcome is Outcome.interrupted
    finally:
        driver.backend.close(stop_running=True)
