"""The command that is killed and given again: ``program.py METHOD WORKERS TRIALS BACKEND [DIE_AT_STEP]``.

With DIE_AT_STEP it kills itself at that step, counted over everything that writes the log or touches a trial, before
and after each: the places where a kill by the clock hardly ever hits. When it ends by itself it prints how many steps
it took, and it fails if the experiment has left a file descriptor or a thread in it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend, PythonBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA, RandomSearch
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.store.local_store import LocalStore
from tests.chaos.leftovers import descriptors, threads

NAME = "chaos"
SEED = 11
SPACE = {"x": uniform(0, 1), "max_epochs": 9}


def train(x: float, max_epochs: int, st_checkpoint_dir: str) -> None:
    """The trial as a function; see train.py."""
    import json
    import time
    from pathlib import Path

    from cloudtune import Reporter

    state = Path(st_checkpoint_dir) / "state.json"
    level = json.loads(state.read_text())["level"] if state.exists() else 0
    report = Reporter()
    while level < max_epochs:
        level += 1
        time.sleep(0.005)
        report(epoch=level, loss=abs(x - 0.3) + (1 - x) / level)
        fresh = state.with_suffix(".new")
        fresh.write_text(json.dumps({"level": level}))
        fresh.replace(state)


def make_scheduler(method: str) -> TrialScheduler:
    """One of the methods under test, always with the same seed."""
    if method == "random":
        return RandomSearch(SPACE, metric="loss", resource_attr="epoch", random_seed=SEED)
    return ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=method, random_seed=SEED
    )


def make_backend(kind: str) -> TrialBackend:
    """Scripts or functions."""
    if kind == "python":
        return PythonBackend(tune_function=train, config_space=SPACE, stop_grace=2.0)
    return LocalBackend(entry_point=str(Path(__file__).with_name("train.py")), stop_grace=2.0)


def count_steps(last: int | None) -> Callable[[], int]:
    """Wraps what writes the log and what touches trials, so that the process kills itself at the step ``last``.

    Returns a function that tells how many steps were passed.
    """
    passed = 0

    def tick() -> None:
        nonlocal passed
        passed += 1
        if passed == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def around(*args: Any, **kwargs: Any) -> Any:
            tick()
            result = function(*args, **kwargs)
            tick()
            return result

        return around

    calls = ("open", "attach", "start_trial", "resume_trial", "stop_trial", "pause_trial", "close")
    for owner, names in (
        (LocalStore, ("open", "append", "flush", "update_results", "snapshot", "write_metadata", "close")),
        (LocalBackend, calls),
        (PythonBackend, calls),
    ):
        for name in names:
            setattr(owner, name, wrapped(getattr(owner, name)))
    return lambda: passed


def main() -> None:
    """Runs or continues the experiment."""
    method, workers, trials, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    steps = count_steps(int(sys.argv[5]) if len(sys.argv) > 5 else None)
    before = descriptors(), threads()
    Tuner(
        trial_backend=make_backend(kind),
        scheduler=make_scheduler(method),
        stop_criterion=StoppingCriterion(max_num_trials_started=trials),
        n_workers=workers,
        tuner_name=NAME,
        suffix_tuner_name=False,
        max_failures=0,
    ).run()
    after = descriptors(), threads()
    if after != before:
        sys.exit(f"the experiment has left something: before {before}, after {after}")
    print(steps())


if __name__ == "__main__":
    main()
