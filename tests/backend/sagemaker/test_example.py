"""The example of the guide: trials as training jobs, rehearsed on the local cloud."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(400)
def test_the_digits_are_tuned_although_two_things_go_wrong(tmp_path: Path) -> None:
    """It needs nothing but this machine, survives an interruption and a quota that is reached, and draws its plots."""
    place = {"CLOUDTUNE_FOLDER": str(tmp_path), "PYTHONPATH": str(ROOT)}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    options = ["--trials", "10", "--seconds", "240", "--seed", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "sagemaker_digits.py"), *options],
        env={**outside, **place},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Went wrong on purpose: spot_interruption" in done.stdout
    assert "Went wrong on purpose: resource_limit" in done.stdout
    assert {path.name for path in tmp_path.glob("*/*.png")} == {"best-so-far.png", "learning-curves.png"}
