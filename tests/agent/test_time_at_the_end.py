"""How long a script has to end when the platform ends its job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cloudtune.agent.child_run import ChildRun
from cloudtune.agent.console import Console
from cloudtune.agent.events import TERMINATE, Events
from cloudtune.agent.orders import Orders

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


@pytest.mark.parametrize(("at_termination", "ends_by_itself"), [(0.2, False), (60.0, True)])
def test_the_platforms_end_leaves_as_much_time_as_the_task_says(
    tmp_path: Path, at_termination: float, ends_by_itself: bool
) -> None:
    """A tuner, which has to end its trials, gets more of SageMaker's 120 seconds than a training script."""
    events = Events()
    run = ChildRun([sys.executable, "-c", SLOW_TO_END], str(tmp_path), dict(os.environ), Orders(events), Console())

    def before_telling(_is_over: object) -> None:
        assert (tmp_path / "ready").exists()

    while not (tmp_path / "ready").exists():
        events.wait(0.05)
    events.post(TERMINATE)
    run.run(60.0, before_telling, at_termination)
    assert run.is_told
    assert (tmp_path / "written").exists() == ends_by_itself
    assert (run.exit_code == 0) == ends_by_itself
