"""A folder of a user's own: the cheapest benchmark there is, its script, and a catalogue that a test completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: A trial takes as long as Python does to begin.
_BENCHMARK = """
from pathlib import Path

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.studies import METHODS, BenchmarkDefinition, Catalogue, ExtraArgument


def tiny():
    return BenchmarkDefinition(
        name="tiny",
        script=Path(__file__).with_name("train.py"),
        config_space={"x": uniform(0, 1), "epochs": 2},
        metric="error",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="epochs",
        max_wallclock_time=250,
        n_workers=2,
        reduction_factor=2,
    )
"""
_TRAIN = """
import argparse

from cloudtune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--epochs", type=int)
arguments, _ = parser.parse_known_args()
report = Reporter()
for epoch in range(1, arguments.epochs + 1):
    report(epoch=epoch, error=(arguments.x - 0.3) ** 2 / epoch)
"""


def write_study(folder: Path, catalogue: str) -> None:
    """Writes the user's files.

    Args:
        folder: Where commands are run.
        catalogue: Lines that make ``CATALOGUE``, with the benchmark ``tiny``.
    """
    (folder / "launchers").mkdir()
    (folder / "launchers" / "catalogue.py").write_text(_BENCHMARK + catalogue)
    (folder / "launchers" / "train.py").write_text(_TRAIN)


def launch(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    """Runs ``cloudtune launch`` there to its end, which must be a good one."""
    done = subprocess.run(
        [sys.executable, "-m", "cloudtune.cli", "launch", *words.split()],
        cwd=folder,
        env={**os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
