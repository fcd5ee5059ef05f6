"""How long a script has to end when the platform ends its job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW_TO_END = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(1.0)
    pathlib.Path("written").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path("ready").touch()
time.sleep(600)
"""

# A process of its own: at the end it kills, as the first process of a container does, all that descends from it.
CONTAINER = """
import os, sys
from cloudtune.agent.child_run import ChildRun
from cloudtune.agent.console import Console
from cloudtune.agent.events import TERMINATE, Events
from cloudtune.agent.orders import Orders

script, at_termination = sys.argv[1], float(sys.argv[2])
events = Events()
run = ChildRun([sys.executable, "-c", script], os.getcwd(), dict(os.environ), Orders(events), Console())
while not os.path.exists("ready"):
    events.wait(0.05)
events.post(TERMINATE)
run.run(60.0, lambda is_over: None, at_termination)
assert run.is_told
sys.exit(7 if run.exit_code == 0 else 8)
"""


@pytest.mark.parametrize(("at_termination", "ends_by_itself"), [(0.2, False), (60.0, True)])
def test_the_platforms_end_leaves_as_much_time_as_the_task_says(
    tmp_path: Path, at_termination: float, ends_by_itself: bool
) -> None:
    """A tuner, which has to end its trials, gets more of SageMaker's 120 seconds than a training script."""
    command = [sys.executable, "-c", CONTAINER, SLOW_TO_END, str(at_termination)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == (7 if ends_by_itself else 8), done.stderr
    assert (tmp_path / "written").exists() == ends_by_itself
