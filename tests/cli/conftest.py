"""The command as a user runs it, a training script, and a config space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

#: An error that depends on ``x``, for ``max_epochs`` epochs; it goes on where it was, and may take its time. Behind the
#: epoch ``hold`` it waits for the file that the environment names.
SCRIPT = """
import argparse
import json
import os
import time

from cloudtune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--max_epochs", type=int)
parser.add_argument("--seconds", type=float, default=0.0)
parser.add_argument("--hold", type=int, default=0)
parser.add_argument("--st_checkpoint_dir")
arguments = parser.parse_args()
os.makedirs(arguments.st_checkpoint_dir, exist_ok=True)
saved = os.path.join(arguments.st_checkpoint_dir, "epoch.json")
done = json.load(open(saved)) if os.path.exists(saved) else 0
report = Reporter()
for epoch in range(done + 1, arguments.max_epochs + 1):
    while 0 < arguments.hold < epoch and not os.path.exists(os.environ["GATE"]):
        time.sleep(0.02)
    time.sleep(arguments.seconds)
    with open(saved + ".new", "w") as file:
        json.dump(epoch, file)
    os.replace(saved + ".new", saved)
    report(epoch=epoch, error=(arguments.x - 0.3) ** 2 + 1 / epoch)
"""


@dataclass(frozen=True)
class Workplace:
    """A folder with a training script and a config space; commands run in it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CLOUDTUNE_FOLDER": str(self.folder / "experiments"), "MPLBACKEND": "Agg"}

    @property
    def tune_and_plot(self) -> list[str]:
        return ["tune", "train.py", "--config-space", "space.json", "--metric", "error"]

    @property
    def tune(self) -> list[str]:
        """Without pictures, which cost a second each time."""
        return [*self.tune_and_plot, "--no-plot"]

    def command(self, arguments: list[str]) -> list[str]:
        return [sys.executable, "-m", "cloudtune.cli", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command([*arguments]),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command([*arguments]),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def write_space(self, **space: object) -> None:
        (self.folder / "space.json").write_text(json.dumps(space), encoding="utf-8")


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    place.write_space(x="uniform(0, 1)", max_epochs=4)
    return place
