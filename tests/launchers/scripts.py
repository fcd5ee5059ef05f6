"""Runs launch scripts as a person does, from a folder that is not theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LAUNCHERS = Path(__file__).parents[2] / "launchers"


def start(script: str, *words: str, folder: Path) -> subprocess.Popen[str]:
    """Starts a script; it cannot ask anything."""
    return subprocess.Popen(
        [sys.executable, str(LAUNCHERS / script), *words],
        cwd=folder,
        env={**os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end."""
    process = start(script, *words, folder=folder)
    output, errors = process.communicate(timeout=280)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
