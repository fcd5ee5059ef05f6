"""The demo, short: a study on the local cloud from its launch to its report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarking.demo import METHODS, SEEDS

ROOT = Path(__file__).parents[2]


def test_a_study_is_launched_interrupted_compared_and_reported(tmp_path: Path) -> None:
    """Four experiments end, one trial loses its machine, figure and report are written, and nothing runs on."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarking" / "demo.py"), "--seconds", "20", "--workers", "2"],
        env={**os.environ, "CLOUDTUNE_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "demo: 4 experiments (4 finished)" in done.stdout
    told = re.search(r"4 tuners and (\d+) trials ran as training jobs; 1 lost its spot machine", done.stdout)
    assert told is not None, done.stdout[-2000:]
    assert int(told[1]) >= 8
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    report = (tmp_path / "demo.html").read_text(encoding="utf-8")
    for seed in range(SEEDS):
        for method in METHODS:
            assert f"demo-digits-mlp-{method}-w2-{seed}" in report
