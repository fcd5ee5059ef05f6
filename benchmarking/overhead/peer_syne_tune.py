"""Syne Tune (https://github.com/syne-tune/syne-tune) 0.13 at the same work, as it comes."""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarking.overhead import function_trials, script_trials
from benchmarking.overhead.asha_calls import MAX_LEVEL
from benchmarking.overhead.measurement import seconds

NAME = "Syne Tune"
MODULE = "syne_tune"
SCRIPTS = "LocalBackend"
#: It sleeps 5 s in each turn: a tenth of the trials is enough to tell.
SHARE = 10
FUNCTIONS = f"PythonBackend, {SHARE} x {function_trials.NUM_TRIALS // SHARE} trials"
ASHA = "ASHA"

_SCRIPT = """
import argparse
from syne_tune import Reporter
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
args, _ = parser.parse_known_args()
Reporter()(loss=args.x)
"""


def _tune(backend: Any, space: dict[str, Any], num_trials: int, num_workers: int, folder: str) -> float:
    """Seconds of random search."""
    syne_tune: Any = importlib.import_module("syne_tune")
    baselines: Any = importlib.import_module("syne_tune.optimizer.baselines")

    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    os.environ["SYNETUNE_FOLDER"] = folder
    tuner = syne_tune.Tuner(
        trial_backend=backend,
        scheduler=baselines.RandomSearch(space, metric="loss", mode="min"),
        # It ends once more than this many have finished.
        stop_criterion=syne_tune.StoppingCriterion(max_num_trials_finished=num_trials - 1),
        n_workers=num_workers,
        print_update_interval=10_000,
    )
    taken = seconds(tuner.run)
    finished = tuner.tuning_status.num_trials_finished
    if finished < num_trials:
        raise RuntimeError(f"{finished} of {num_trials} trials finished")
    return taken


def scripts(_script: Path) -> float:
    """Seconds for the scripts that end at once, with its own Reporter."""
    backends: Any = importlib.import_module("syne_tune.backend")
    domains: Any = importlib.import_module("syne_tune.config_space")

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "train.py")
        script.write_text(_SCRIPT)
        backend = backends.LocalBackend(entry_point=str(script))
        return _tune(backend, {"x": domains.uniform(0, 1)}, script_trials.NUM_TRIALS, script_trials.NUM_WORKERS, folder)


def functions() -> float:
    """Seconds for the function trials, scaled from a share of them."""
    backends: Any = importlib.import_module("syne_tune.backend")
    domains: Any = importlib.import_module("syne_tune.config_space")

    # Within this function, so that it travels by value.
    def train(x: float, num_reports: int) -> None:
        from syne_tune import Reporter  # type: ignore[import-not-found, unused-ignore]

        report = Reporter()
        for number in range(num_reports):
            report(loss=x / (number + 1), epoch=number + 1)

    space = {"x": domains.uniform(0, 1), "num_reports": function_trials.NUM_REPORTS}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYNETUNE_FOLDER"] = folder
        backend = backends.PythonBackend(tune_function=train, config_space=space)
        share = function_trials.NUM_TRIALS // SHARE
        return SHARE * _tune(backend, space, share, function_trials.NUM_WORKERS, folder)


class SuccessiveHalving:
    """Its ASHA, of the stopping type."""

    def __init__(self) -> None:
        baselines: Any = importlib.import_module("syne_tune.optimizer.baselines")
        domains: Any = importlib.import_module("syne_tune.config_space")
        trials: Any = importlib.import_module("syne_tune.backend.trial_status")
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        logging.getLogger().setLevel(logging.WARNING)
        space = {
            "lr": domains.loguniform(1e-5, 1),
            "width": domains.randint(8, 512),
            "a": domains.uniform(0, 1),
            "b": domains.uniform(0, 1),
        }
        self._scheduler = baselines.ASHA(
            space,
            metric="loss",
            mode="min",
            resource_attr="epoch",
            max_t=MAX_LEVEL,
            grace_period=1,
            reduction_factor=3,
            type="stopping",
            search_options={"debug_log": False},
            random_seed=0,
        )
        self._trial = trials.Trial
        self._count = 0

    def suggest(self) -> Any:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        suggestion = self._scheduler.suggest(self._count)
        trial = self._trial(self._count, suggestion.config, datetime.now())  # noqa: DTZ005 - as its own tuner does
        self._count += 1
        self._scheduler.on_trial_add(trial)
        return trial

    def report(self, trial: Any, level: int, loss: float) -> bool:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        return bool(self._scheduler.on_trial_result(trial, {"loss": loss, "epoch": level}) == "CONTINUE")

    def end(self, trial: Any, level: int, loss: float, stopped: bool) -> None:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        if stopped:
            self._scheduler.on_trial_remove(trial)
        else:
            self._scheduler.on_trial_complete(trial, {"loss": loss, "epoch": level})
