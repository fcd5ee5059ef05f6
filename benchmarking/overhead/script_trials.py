"""Script trials against bare ``Popen``, and the time from a trial's end to the next one's start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarking.overhead.measurement import Row, in_turn, seconds
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.tuner import Tuner

NUM_TRIALS = 40
NUM_WORKERS = 2

#: The same work with and without cloudtune: parse the arguments, last as long as asked, and (ours) report once.
BARE = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--seconds", type=float)
parser.add_argument("--st_checkpoint_dir")
args = parser.parse_args()
if args.seconds:
    time.sleep(args.seconds)
"""
_REPORTING = "from cloudtune.report import Reporter\n" + BARE + "Reporter()(loss=args.x, epoch=1)\n"


def bare_popen(script: Path, duration: float) -> float:
    """Seconds for all trials with nothing but ``Popen``, two at a time."""

    def run() -> None:
        running: list[subprocess.Popen[bytes]] = []
        for number in range(NUM_TRIALS):
            if len(running) == NUM_WORKERS:
                wait_for_one(running)
            argv = [sys.executable, str(script), "--x", str(number / NUM_TRIALS), "--seconds", str(duration)]
            running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))
        while running:
            wait_for_one(running)

    return seconds(run)


def wait_for_one(running: list[subprocess.Popen[bytes]]) -> None:
    """Blocks until one of the processes has ended, and takes it off the list."""
    import os

    pid, _status = os.wait()
    for process in running:
        if process.pid == pid:
            process.returncode = 0
            running.remove(process)
            return


def tuned(script: Path, duration: float, gaps: list[float] | None = None) -> float:
    """Seconds for all trials with the tuner: supervisor, log, results and all."""
    backend = LocalBackend(entry_point=str(script))
    tuner = Tuner(
        trial_backend=backend,
        scheduler=RandomSearch({"x": uniform(0, 1), "seconds": duration}, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_started=NUM_TRIALS),
        n_workers=NUM_WORKERS,
    )
    taken = seconds(tuner.run)
    if tuner.status.num_trials_completed != NUM_TRIALS:
        raise RuntimeError(f"{tuner.status.num_trials_completed} of {NUM_TRIALS} trials completed")
    if gaps is not None:
        gaps.extend(turnarounds(backend))
    return taken


def turnarounds(backend: LocalBackend) -> list[float]:
    """Seconds from each return of ``waitid`` to the start of the next trial, by the supervisor's own clock."""
    found, ended = [], None
    for event, _trial, when in backend.timings:
        if event == "ended":
            ended = when
        elif ended is not None:
            found.append(when - ended)
            ended = None
    return found


def measure(repeats: int) -> list[Row]:
    """The rows of script trials."""
    with tempfile.TemporaryDirectory() as folder:
        bare, reporting = Path(folder, "bare.py"), Path(folder, "train.py")
        bare.write_text(BARE)
        reporting.write_text(_REPORTING)
        gaps: list[float] = []
        rows = []
        for name, duration, limit in (("that end at once", 0.0, 1.3), ("of 0.3 s", 0.3, 1.05)):
            ours, floor = in_turn(
                repeats,
                lambda duration=duration: tuned(reporting, duration, gaps),  # type: ignore[misc]
                lambda duration=duration: bare_popen(bare, duration),  # type: ignore[misc]
            )
            rows.append(
                Row(
                    f"{NUM_TRIALS} scripts {name}, {NUM_WORKERS} workers",
                    ours,
                    floor,
                    "s",
                    limit,
                    "bare Popen, no report",
                )
            )
        start = seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
        # 5 ms on a quiet machine whose interpreter starts in 12 ms.
        gap = statistics.median(gaps)
        rows.append(
            Row("end of a trial to start of the next", gap * 1e3, start * 1e3, "ms", 5 / 12, "interpreter start")
        )
        return rows
