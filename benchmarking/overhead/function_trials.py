"""Function trials, each in a process of its own, against bare forks that write to a pipe."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarking.overhead.measurement import Row, in_turn, seconds
from cloudtune.backend import PythonBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.tuner import Tuner

NUM_TRIALS = 200
NUM_REPORTS = 10
NUM_WORKERS = 2

#: What a program that tunes has imported, and what a fork of it therefore copies.
_PROGRAM = """
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import PythonBackend
from cloudtune.optimizer.baselines import RandomSearch
"""

#: A process that forks, two at a time, children that write ten JSON lines into a pipe; prints its seconds.
_FLOOR = """
import json, os, select, sys, time
trials, reports, workers = map(int, sys.argv[1:])
begin = time.perf_counter()
poll, pids, received, started = select.poll(), {}, 0, 0
def start():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        for number in range(reports):
            line = json.dumps({"loss": 1 / (number + 1), "epoch": number + 1}) + "\\n"
            os.write(write, line.encode())
        os._exit(0)
    os.close(write)
    pids[read] = pid
    poll.register(read, select.POLLIN | select.POLLHUP)
while started < workers:
    start(); started += 1
while pids:
    for read, _ in poll.poll():
        data = os.read(read, 65536)
        if data:
            received += len([json.loads(line) for line in data.splitlines()])
            continue
        poll.unregister(read); os.close(read); os.waitpid(pids.pop(read), 0)
        if started < trials:
            start(); started += 1
assert received == trials * reports
print(time.perf_counter() - begin)
"""

#: The floor: the same program forking by itself.
FLOOR_PROGRAM = _PROGRAM + _FLOOR


def bare_forks(script: Path) -> float:
    """Seconds for all trials with nothing but fork and a pipe, in a process that has imported what the script says."""
    argv = [sys.executable, str(script), str(NUM_TRIALS), str(NUM_REPORTS), str(NUM_WORKERS)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def train(x: float, num_reports: int) -> None:
    """The function that is tuned."""
    from cloudtune import Reporter

    report = Reporter()
    for number in range(num_reports):
        report(loss=x / (number + 1), epoch=number + 1)


def tuned(**options: Any) -> float:
    """Seconds for all trials with the tuner; every report goes through the log."""
    space = {"x": uniform(0, 1), "num_reports": NUM_REPORTS}
    tuner = Tuner(
        trial_backend=PythonBackend(tune_function=train, config_space=space, **options),
        scheduler=RandomSearch(space, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_started=NUM_TRIALS),
        n_workers=NUM_WORKERS,
    )
    taken = seconds(tuner.run)
    if tuner.status.num_evaluations != NUM_TRIALS * NUM_REPORTS:
        raise RuntimeError(f"{tuner.status.num_evaluations} reports came, not {NUM_TRIALS * NUM_REPORTS}")
    return taken


def measure(repeats: int) -> list[Row]:
    """The rows of function trials.

    The floor is the same program forking by itself. A fork of an interpreter without imports is cheaper still;
    that row is shown without a limit.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, empty = Path(folder, "floor.py"), Path(folder, "empty.py")
        script.write_text(FLOOR_PROGRAM)
        empty.write_text(_FLOOR)
        ours, reused, floor, lowest = in_turn(
            repeats,
            tuned,
            lambda: tuned(reuse_processes=True),
            lambda: bare_forks(script),
            lambda: bare_forks(empty),
        )
    work = f"{NUM_TRIALS} functions x {NUM_REPORTS} reports, {NUM_WORKERS} workers"
    return [
        Row(f"{work}, a process each", ours, floor, "s", 1.5, "bare fork of the program, pipe"),
        Row(f"{work}, a process each", ours, lowest, "s", None, "bare fork of an empty interpreter"),
        Row(f"{work}, processes re-used", reused, floor, "s", None, "bare fork of the program, pipe"),
    ]
