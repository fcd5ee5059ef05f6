"""A user's folder in which commands are given as in a shell, and what must be true of it afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from cloudtune.constants import ENV_EXPERIMENT, ENV_FOLDER
from cloudtune.experiments import load_experiment
from cloudtune.store import entries
from cloudtune.store.local_store import LocalStore

#: The experiment that every place has from the start, and the number of its reports.
EARLIER = "kept"
EARLIER_REPORTS = 4

#: Seconds before a test gives up: far more than anything takes on a loaded machine.
PATIENCE = 150.0

#: How every training script begins here.
PREAMBLE = """
import argparse
import json
import os
import signal
import subprocess
import sys
import time

from cloudtune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--max_epochs", type=int)
parser.add_argument("--st_checkpoint_dir")
options = parser.parse_args()
report = Reporter()
"""

#: A script as it should be: it goes on where it was.
GOOD = """
saved = os.path.join(options.st_checkpoint_dir, "epoch.json")
done = json.load(open(saved)) if os.path.exists(saved) else 0
for epoch in range(done + 1, options.max_epochs + 1):
    time.sleep(float(os.environ.get("SECONDS_PER_EPOCH", "0")))
    report(epoch=epoch, error=options.x + 1 / epoch)
    with open(saved + ".new", "w") as file:
        json.dump(epoch, file)
    os.replace(saved + ".new", saved)
"""


@dataclass(frozen=True)
class Place:
    """The folder: scripts, a config space, and the experiments below ``experiments``."""

    folder: Path
    started: list[Started] = field(default_factory=list)

    @property
    def experiments(self) -> Path:
        return self.folder / "experiments"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def write_space(self, **space: object) -> None:
        self.write("space.json", json.dumps(space))

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, ENV_FOLDER: str(self.experiments), **more}

    def tuning(self, *more: str, method: str = "random", metric: str = "error", name: str = EARLIER) -> list[str]:
        """The command that tunes train.py, one trial at a time."""
        return [
            *(sys.executable, "-m", "cloudtune.cli", "tune", "train.py", "--config-space", "space.json"),
            *("--metric", metric, "--method", method, "--seed", "1", "--n-workers", "1"),
            *("--name", name, "--no-suffix", "--no-plot"),
            *more,
        ]

    def command(self, *arguments: str) -> list[str]:
        """Another of cloudtune's commands."""
        return [sys.executable, "-m", "cloudtune.cli", *arguments]

    def program(self, *arguments: str) -> list[str]:
        """The user's own tuning script."""
        return [sys.executable, "tune.py", *arguments]

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )

    def start(self, command: list[str], **environment: str) -> Started:
        """Begins a command in a process group of its own, as a shell does: Ctrl-C goes to the whole group."""
        output = self.folder / f"stderr-{len(list(self.folder.glob('stderr-*')))}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        self.started.append(Started(process, output))
        return self.started[-1]

    def end_what_was_started(self) -> None:
        """Kills commands that a failed test has left; their trials end with them."""
        for started in self.started:
            started.process.kill()
            started.process.wait(timeout=PATIENCE)

    # ------------------------------------------------------------------ what is there

    def log(self, name: str = EARLIER) -> list[dict[str, Any]]:
        return list(LocalStore(self.experiments / name).read())

    def reported(self, trial: int, attempt: int = 0, name: str = EARLIER) -> list[dict[str, Any]]:
        """What an attempt wrote into its report file, as far as lines are whole and reports."""
        path = self.experiments / name / "trials" / str(trial) / f"reports-{attempt}.jsonl"
        if not path.exists():
            return []
        return [report for report in map(_parsed, path.read_bytes().split(b"\n")[:-1]) if isinstance(report, dict)]

    def processes(self, name: str = EARLIER) -> list[psutil.Process]:
        """Living processes that bear the experiment's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if (
                    environment.get(ENV_EXPERIMENT, "").startswith(f"{name}-")
                    and environment.get(ENV_FOLDER) == str(self.experiments)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    # ------------------------------------------------------------------ what must be true

    def check_kept(self, count: int, name: str = EARLIER) -> None:
        """Every report that reached its file is in the log once, in order; ``count`` of them are in the results."""
        log = self.log(name)
        reports = [entry for entry in log if entry["event"] == entries.REPORT]
        attempts = {(entry["trial"], entry["attempt"]) for entry in log if entry["event"] == entries.SUGGEST}
        attempts |= {(entry["trial"], entry["attempt"]) for entry in log if entry["event"] == entries.RETRY}
        for trial, attempt in sorted(attempts):
            logged = [entry for entry in reports if (entry["trial"], entry["attempt"]) == (trial, attempt)]
            assert [entry["number"] for entry in logged] == list(range(len(logged)))
            assert [entry["metrics"] for entry in logged] == self.reported(trial, attempt, name)
        assert len(load_experiment(str(self.experiments / name)).results) == count
        assert len(pd.read_csv(self.experiments / name / "results.csv.zip")) == count

    def check_nothing_left(self, name: str = EARLIER) -> None:
        """No process of the experiment is alive (they may take a moment to end after the command)."""
        wait_until(lambda: not self.processes(name))

    def endings(self, name: str = EARLIER) -> list[str]:
        """Statuses with which trials have ended, in order."""
        return [entry["status"] for entry in self.log(name) if entry["event"] == entries.END]


@dataclass(frozen=True)
class Started:
    """A command that runs, and what it says."""

    process: subprocess.Popen[bytes]
    output: Path

    def says(self, text: str) -> bool:
        return text in self.output.read_text(errors="replace")

    def end(self) -> subprocess.CompletedProcess[str]:
        """Waits until it ends."""
        code = self.process.wait(timeout=PATIENCE)
        return subprocess.CompletedProcess(self.process.args, code, "", self.output.read_text(errors="replace"))


def wait_until(happened: Callable[[], object]) -> None:
    """Looks again and again until it has happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def alive(pids: Iterable[int]) -> list[int]:
    """Those of the processes that are neither gone nor dead."""
    living = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                living.append(pid)
        except psutil.NoSuchProcess:
            continue
    return living


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
