"""A thousand trials at once, and a tuner with nothing to do: the tuner itself must hardly work."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarking.overhead.measurement import Row
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.tuner import Tuner

NUM_TRIALS = 1_000
#: Seconds over which the tuner is watched once all trials run.
WATCHED = 10.0


def watch(num_trials: int) -> tuple[float, float]:
    """CPU seconds, and times the tuner's process was scheduled, per second while ``num_trials`` scripts sleep."""
    code = (
        "import sys, resource, threading, time\n"
        "from benchmarking.overhead.many_trials import tune\n"
        f"tune(sys.argv[1], {num_trials})\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "sleep.py")
        script.write_text("import time\ntime.sleep(100_000)\n")
        done = subprocess.run([sys.executable, "-c", code, str(script)], check=True, capture_output=True, text=True)
        cpu, wakes = done.stdout.split()[-2:]
        return float(cpu), float(wakes)


def tune(script: str, num_trials: int) -> None:
    """Runs in a process of its own: starts the trials, watches itself, prints what it saw."""
    import os
    import resource
    import signal

    def usage() -> tuple[float, float, float]:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return time.monotonic(), own.ru_utime + own.ru_stime, own.ru_nvcsw

    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=script, stop_grace=5.0),
        scheduler=RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_wallclock_time=100_000),
        n_workers=num_trials,
    )

    def observe() -> None:
        while tuner.status.num_trials_running < num_trials or tuner.trial_backend.busy_workers() < num_trials:
            time.sleep(0.2)
        time.sleep(max(3.0, num_trials / 50))
        begin = usage()
        time.sleep(WATCHED)
        end = usage()
        span = end[0] - begin[0]
        # The observer itself wakes once.
        print((end[1] - begin[1]) / span, max(0.0, end[2] - begin[2] - 1) / span, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=observe, daemon=True).start()
    try:
        tuner.run()
    except SystemExit:
        return


def measure(_repeats: int) -> list[Row]:
    """The rows of many and of idle trials."""
    busy, _wakes = watch(NUM_TRIALS)
    _cpu, wakes = watch(4)
    return [
        Row(f"{NUM_TRIALS:,} sleeping trials: CPU of the tuner", max(busy, 1e-6), 1.0, "core", 0.1, "one core"),
        Row("4 sleeping trials: wakings of the tuner per second", max(wakes, 1e-6), 1.0, "1/s", 2.0, "once a second"),
    ]
