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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cloudtune.cli.finding import summarise
from cloudtune.experiments import load_experiment
from cloudtune.store import entries
from cloudtune.store.local_store import LocalStore
from tests.chaos.leftovers import descriptors, marked_processes, threads
from tests.chaos.program import NAME

PROGRAM = Path(__file__).with_name("program.py")

#: Steps before the first trial starts, at the least.
STEPS_TO_BEGIN = 12

#: Seconds between two tuners. Together they outlast what a tuner lives before and after the time that it counts.
DOWNTIME = 0.8


def environment(folder: Path) -> dict[str, str]:
    """Environment of the command: its own folder, and the repository on the path (for ``tests.chaos``)."""
    return {**os.environ, "CLOUDTUNE_FOLDER": str(folder), "OMP_NUM_THREADS": "1"}


@dataclass
class Life:
    """An experiment over all the tuners that drove it.

    Args:
        folder: Where experiments are.
        method: The method.
        workers: Trials at the same time.
        kind: The backend.
        trials: The limit of trials started; it grows where an experiment ends before it could be killed.
        seconds: For how long tuners have lived, from before their start to after their end.
        killed: Tuners killed.
    """

    folder: Path
    method: str
    workers: int
    kind: str
    trials: int
    seconds: float = 0.0
    killed: int = 0

    @property
    def log(self) -> list[dict[str, Any]]:
        if not (self.folder / NAME).exists():
            return []
        return list(LocalStore(self.folder / NAME).read())

    def run(self, die_at: int | None = None, kill_after: float | None = None) -> int | None:
        """Gives the command, once. The number of steps it took, or None if it was killed."""
        argv = [sys.executable, str(PROGRAM), self.method, str(self.workers), str(self.trials), self.kind]
        begin = time.monotonic()
        child = subprocess.Popen(
            argv if die_at is None else [*argv, str(die_at)],
            env=environment(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if kill_after is not None:
            time.sleep(kill_after)
            child.send_signal(signal.SIGKILL)
        output, errors = child.communicate(timeout=300)
        self.seconds += time.monotonic() - begin
        if child.returncode == -signal.SIGKILL:
            self.killed += 1
            return None
        assert child.returncode == 0, errors.decode()
        return int(output)

    def run_with_kills(self, rng: random.Random, kills: int, steps: int) -> None:
        """Has the command killed so often while it was alive, then lets it end.

        Half of the kills come by the clock. The others come at a step, each of those that are left as likely as the
        others: ``steps`` is how many a calm run of as many trials takes.
        """
        begun = self.trials
        while self.killed < kills:
            if rng.random() < 0.5:
                started = sum(e["event"] == entries.SUGGEST and e["attempt"] == 0 for e in self.log)
                left = steps * (self.trials - started) // begun
                ended = self.run(die_at=rng.randint(1, max(left, STEPS_TO_BEGIN)))
            else:
                # From before the log is opened to well into the experiment.
                ended = self.run(kill_after=rng.uniform(0.2, 1.0))
            if ended is not None:
                self.trials += 20
            # No time of the experiment's: no tuner is there to spend it.
            time.sleep(DOWNTIME)
        self.run()


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
    deadline = time.monotonic() + 60
    while marked_processes(NAME, str(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked_processes(NAME, str(folder)) == []


def check_elapsed_time(life: Life, log: list[dict[str, Any]]) -> None:
    """The experiment's time is that of its tuners: nothing that was logged is taken back, no downtime is counted."""
    elapsed = summarise(life.folder / NAME).seconds
    assert elapsed >= max(e["time"] for e in log if "time" in e)
    assert elapsed >= load_experiment(str(life.folder / NAME)).results["st_tuner_time"].max()
    assert elapsed <= life.seconds, "time was counted in which no tuner lived"


def chaos(tmp_path: Path, seed: int, kills: int, method: str, workers: int, kind: str, trials: int = 20) -> None:
    """One chaos run."""
    own = descriptors(), threads()
    calm = Life(tmp_path / "calm", method, workers, kind, trials)
    steps = calm.run()
    assert steps is not None
    assert steps > STEPS_TO_BEGIN
    life = Life(tmp_path / "killed", method, workers, kind, trials)
    life.run_with_kills(random.Random(seed), kills, steps)
    log = life.log
    check_nothing_left(life.folder)
    check_whole(log, life.folder, life.trials)
    check_elapsed_time(life, log)
    if workers == 1:
        if life.trials > trials:
            calm = Life(tmp_path / "calm and longer", method, workers, kind, life.trials)
            calm.run()
        assert outcome(log) == outcome(calm.log)
    assert (descriptors(), threads()) == own


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
