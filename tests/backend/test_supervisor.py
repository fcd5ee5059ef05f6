"""The supervisor where the system refuses it something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.backend import LocalBackend, PythonBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.trial import Outcome
from tests.contracts import training_program
from tests.contracts.backend_driver import Driver
from tests.own_children import own_children

BACKENDS = [
    pytest.param(lambda: LocalBackend(training_program.__file__), id="scripts"),
    pytest.param(lambda: PythonBackend(training_program.train), id="functions"),
    pytest.param(lambda: PythonBackend(training_program.train, reuse_processes=True), id="reused processes"),
]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a file that is always full")
@pytest.mark.parametrize("make_backend", BACKENDS)
def test_neither_end_nor_complaint_can_be_written(tmp_path: Path, make_backend: Any) -> None:
    """On a full disk the tuner is told of an end all the same; the supervisor lives, and tells no trial of it."""
    os.symlink("/dev/full", tmp_path / "supervisor.log")
    backend: TrialBackend = make_backend()
    driver = Driver(backend, tmp_path)
    driver.open()
    try:
        [supervisor] = own_children()
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        (tmp_path / "trials" / "0" / "end-0.json").mkdir()
        backend.stop_trial(0)
        assert driver.end_of(0).outcome is Outcome.stopped
        driver.start(1, reports=1)
        assert driver.end_of(1).outcome is Outcome.completed
        assert backend.stderr(1) == ""
        assert own_children() == [supervisor]
    finally:
        backend.close(stop_running=True)


#: Runs a command as a user whose processes this one may not kill.
ANOTHER_USER = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
#: Runs a command that may kill processes of its own user only, root's as well.
WITHOUT_POWER = ["setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill"]


def may_change_users() -> bool:
    """True if processes can be given to another user, as root can do it."""
    try:
        return subprocess.run([*WITHOUT_POWER, *ANOTHER_USER, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


TUNER = """
import os, sys, time
from pathlib import Path
import psutil
from cloudtune.backend import PythonBackend
from tests.contracts.backend_driver import PATIENCE, Driver

another_user = sys.argv[2:]


def train(leaves, becomes=False):
    import os, signal, subprocess
    from cloudtune import Reporter

    report = Reporter()
    if leaves:
        left = subprocess.Popen(
            [*another_user, "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE, start_new_session=True
        )
        left.stdout.readline()  # now it is the other user's
        report(pid=left.pid)
    if becomes:
        os.execvp(another_user[0], [*another_user, "sh", "-c", "echo ready; exec sleep 600"])
    if leaves == "and stays":
        signal.pause()


driver = Driver(PythonBackend(train, stop_grace=0.2), Path(sys.argv[1]))
driver.open()
driver.start(0, leaves=True)
driver.start(1, leaves="and stays")
print(driver.end_of(0).outcome.value)
driver.wait_for_reports(1, 1)
[supervisor] = psutil.Process().children()
supervisor.kill()
print(driver.end_of(1).outcome.value)
driver.start(2, leaves=True)
print(driver.end_of(2).outcome.value)
driver.start(3, leaves=False, becomes=True)
deadline = time.monotonic() + PATIENCE
while "ready" not in driver.backend.stdout(3):
    assert time.monotonic() < deadline
    time.sleep(0.01)
driver.backend.stop_trial(3)
driver.backend.close(stop_running=True)
"""


@pytest.mark.skipif(not may_change_users(), reason="needs the right to become another user, as root has it")
def test_processes_that_may_not_be_killed(tmp_path: Path) -> None:
    """Daemons, and a trial, that have become another user's: left running, and told of; they hold nobody up."""
    script = tmp_path / "tuner.py"
    script.write_text(TUNER)
    try:
        done = subprocess.run(
            [*WITHOUT_POWER, sys.executable, str(script), str(tmp_path), *ANOTHER_USER],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        left = [process for process in psutil.process_iter() if process.uids().real == 54321]
        for process in left:
            process.send_signal(signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    assert "belongs to another user; end it yourself" in done.stderr
    assert done.stdout.split() == ["completed", "interrupted", "completed"]
    assert len(left) >= 4
    assert "belongs to another user; end it yourself" in (tmp_path / "supervisor.log").read_text()
