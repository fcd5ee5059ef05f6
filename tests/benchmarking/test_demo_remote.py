"""The demo of all four combinations of loop and trials: each here, or as training jobs of the local cloud."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_loop_and_trials_here_and_as_training_jobs(tmp_path: Path) -> None:
    """All four end with the same trials done and the same best error, by as many training jobs as they should need."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarking" / "demo_remote.py"), "--trials", "2", "--workers", "2"],
        env={**outside, "CLOUDTUNE_FOLDER": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    rows = [line.split() for line in done.stdout.splitlines() if "%" in line]
    assert [(row[-4], row[-2]) for row in rows] == [("2", "0"), ("2", "2"), ("2", "1"), ("2", "3")], done.stdout
    assert len({row[-3] for row in rows}) == 1
    assert "No training job is left." in done.stdout
