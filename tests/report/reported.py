"""What a script has reported, and scripts that report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune import constants

ROOT = Path(__file__).parents[2]
TAG = constants.TUNE_METRIC_TAG


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line[len(TAG) :]) for line in capsys.readouterr().out.splitlines() if line.startswith(TAG)]


def run_script(code: str, python: str = sys.executable, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDTUNE_", "PYTHON"))}
    return subprocess.run(
        [python, "-W", "error", "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
