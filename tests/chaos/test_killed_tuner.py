"""The tuner is killed with SIGKILL again and again, by the clock and at chosen steps, and the command given again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cloudtune.experiments import load_experiment
from cloudtune.store import entries
from cloudtune.store.local_store import LocalStore
from tests.chaos.leftovers import marked_processes
from tests.chaos.program import NAME

PROGRAM = Path(__file__).with_name("program.py")


def command(method: str, workers: int, trials: int, kind: str, *die_at: int) -> list[str]:
    """The command line of an experiment."""
    return [sys.executable, str(PROGRAM), method, str(workers), str(trials), kind, *map(str, die_at)]


def environment(folder: Path) -> dict[str, str]:
    """Environment of the command: its own folder, and the repository on the path (for ``tests.chaos``)."""
    return {**os.environ, "CLOUDTUNE_FOLDER": str(folder), "OMP_NUM_THREADS": "1"}


def run_calmly(folder: Path, *args: Any) -> list[dict[str, Any]]:
    """Runs the command to its end; the log."""
    subprocess.run(command(*args), check=True, env=environment(folder), timeout=300)
    return list(LocalStore(folder / NAME).read())


def run_with_kills(
    folder: Path, rng: random.Random, kills: int, method: str, workers: int, trials: int, kind: str
) -> tuple[list[dict[str, Any]], int]:
    """Has the command killed ``kills`` times while it was alive, then lets it end.

    An experiment that ends before its last kill is continued with a higher limit. Returns the log and the last limit.
    """
    while kills:
        if rng.random() < 0.5:
            child = start(folder, method, workers, trials, kind, rng.randint(1, 40))
        else:
            child = start(folder, method, workers, trials, kind)
            # From before the log is opened to well into the experiment.
            time.sleep(rng.uniform(0.2, 1.0))
            child.send_signal(signal.SIGKILL)
        _, errors = child.communicate(timeout=300)
        if child.returncode == -signal.SIGKILL:
            kills -= 1
        else:
            assert child.returncode == 0, errors.decode()
            trials += 20
    return run_calmly(folder, method, workers, trials, kind), trials


def start(folder: Path, *args: Any) -> subprocess.Popen[bytes]:
    """Starts the command."""
    return subprocess.Popen(command(*args), env=environment(folder), stderr=subprocess.PIPE)


def outcome(log: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Suggestions and the reports the scheduler saw, with its decisions."""
    said: list[tuple[Any, ...]] = []
    for entry in log:
        if entry["event"] == entries.SUGGEST:
            said.append(("suggest", entry["number"], entry["trial"], tuple(entry["config"].items())))
        elif entry["event"] == entries.REPORT and not (entry.get("replay") or entry.get("late") or entry.get("extra")):
            metrics = entry["metrics"]
            said.append(("report", entry["trial"], metrics["epoch"], metrics["loss"], entry["decision"]))
    return said


def check_whole(log: list[dict[str, Any]], folder: Path, trials: int) -> None:
    """Nothing lost, nothing doubled: the log against the trials' own files."""
    reports = [e for e in log if e["event"] == entries.REPORT]
    keys = Counter((e["trial"], e["attempt"], e["run"], e["number"]) for e in reports)
    assert max(keys.values()) == 1, "a report was logged twice"
    for trial in range(trials):
        for file in (folder / NAME / "trials" / str(trial)).glob("reports-*.jsonl"):
            attempt = int(file.stem.split("-")[1])
            written = [json.loads(line) for line in file.read_text().splitlines()]
            logged = [e["metrics"] for e in reports if (e["trial"], e["attempt"]) == (trial, attempt)]
            assert logged == written, f"trial {trial}, attempt {attempt}: the log differs from what was reported"
    fresh = [e["trial"] for e in log if e["event"] == entries.SUGGEST and e["attempt"] == 0]
    assert fresh == list(range(trials)), "trial ids are not unique and without gaps"
    times = [e["time"] for e in log if "time" in e]
    assert times == sorted(times), "active time ran backwards"
    frame = load_experiment(str(folder / NAME)).results
    assert not frame.duplicated(["trial_id", "epoch"]).any(), "a level counts twice in the results"
    table = pd.read_csv(folder / NAME / "results.csv.zip")
    assert len(table) == len(frame)
    assert not list((folder / NAME).rglob("*.tmp")), "temporary files were left"


def check_nothing_left(folder: Path) -> None:
    """No process carries the experiment's mark."""
    deadline = time.monotonic() + 20
    while marked_processes(NAME, str(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked_processes(NAME, str(folder)) == []


def chaos(tmp_path: Path, seed: int, kills: int, method: str, workers: int, kind: str, trials: int = 20) -> None:
    """One chaos run."""
    folder = tmp_path / "killed"
    log, trials = run_with_kills(folder, random.Random(seed), kills, method, workers, trials, kind)
    check_nothing_left(folder)
    check_whole(log, folder, trials)
    if workers == 1:
        assert outcome(log) == outcome(run_calmly(tmp_path / "calm", method, workers, trials, kind))


def drawn_seed() -> int:
    """A new seed each time, or the one to repeat."""
    seed = int(os.environ.get("CLOUDTUNE_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"chaos seed {seed}: repeat with CLOUDTUNE_CHAOS_SEED={seed}")
    return seed


@pytest.mark.defect("R3")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("method", "workers", "kind"),
    [("random", 1, "local"), ("stopping", 1, "local"), ("promotion", 1, "python"), ("promotion", 3, "local")],
)
def test_killed_a_few_times(tmp_path: Path, method: str, workers: int, kind: str) -> None:
    """The short form: some kills of each method; one worker must give exactly the uninterrupted experiment."""
    chaos(tmp_path, drawn_seed(), 4, method, workers, kind)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", ["local", "python"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("method", ["random", "stopping", "promotion"])
def test_killed_many_times(tmp_path: Path, method: str, workers: int, kind: str) -> None:
    """The long form: 12 runs of 20 kills, 240 in all."""
    chaos(tmp_path, drawn_seed(), 20, method, workers, kind, trials=100)
