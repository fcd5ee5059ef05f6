"""Ray Tune (https://docs.ray.io/en/latest/tune/) at the same work, as it comes."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarking.overhead import function_trials, script_trials
from benchmarking.overhead.asha_calls import MAX_LEVEL
from benchmarking.overhead.measurement import seconds

NAME = "Ray Tune"
MODULE = "ray.tune"
SCRIPTS = "script by subprocess"
#: It takes a second a trial: a tenth of the trials is enough to tell.
SHARE = 10
FUNCTIONS = f"an actor each, {SHARE} x {function_trials.NUM_TRIALS // SHARE} trials"
ASHA = "AsyncHyperBandScheduler, decisions only"


def _tune(objective: Callable[[dict[str, Any]], Any], num_trials: int, num_workers: int) -> float:
    """Seconds of random search, without the start of the cluster."""
    ray: Any = importlib.import_module("ray")
    tune: Any = importlib.import_module("ray.tune")

    ray.init(num_cpus=num_workers, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            tuner = tune.Tuner(
                objective,
                param_space={"x": tune.uniform(0, 1)},
                tune_config=tune.TuneConfig(num_samples=num_trials),
                run_config=tune.RunConfig(storage_path=folder, verbose=0),
            )
            results: list[Any] = []
            taken = seconds(lambda: results.append(tuner.fit()))
            if len(results[0]) != num_trials or results[0].errors:
                raise RuntimeError(f"{len(results[0])} trials, {len(results[0].errors)} of them failed")
            return taken
    finally:
        ray.shutdown()


def scripts(script: Path) -> float:
    """Seconds for the scripts that end at once, each run by a function trainable."""
    argv = [sys.executable, str(script), "--seconds", "0", "--x"]

    # Within this function, so that it travels by value.
    def objective(config: dict[str, float]) -> dict[str, float]:
        subprocess.run([*argv, str(config["x"])], check=True, stdout=subprocess.DEVNULL)
        return {"loss": config["x"]}

    return _tune(objective, script_trials.NUM_TRIALS, script_trials.NUM_WORKERS)


def functions() -> float:
    """Seconds for the function trials, scaled from a share of them."""
    num_reports = function_trials.NUM_REPORTS

    def objective(config: dict[str, float]) -> None:
        from ray import tune  # type: ignore[import-not-found, unused-ignore]

        for number in range(num_reports):
            tune.report({"loss": config["x"] / (number + 1), "epoch": number + 1})

    return SHARE * _tune(objective, function_trials.NUM_TRIALS // SHARE, function_trials.NUM_WORKERS)


class SuccessiveHalving:
    """Its scheduler's decisions; trials are stand-ins, since its own are made by its controller only."""

    def __init__(self) -> None:
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        schedulers: Any = importlib.import_module("ray.tune.schedulers")
        tune: Any = importlib.import_module("ray.tune")
        self._scheduler = schedulers.AsyncHyperBandScheduler(
            time_attr="epoch", metric="loss", mode="min", max_t=MAX_LEVEL, grace_period=1, reduction_factor=3
        )
        self._tune = tune
        self._count = 0

    def suggest(self) -> Any:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        tune = self._tune
        domains = (tune.loguniform(1e-5, 1), tune.randint(8, 512), tune.uniform(0, 1), tune.uniform(0, 1))
        config = [domain.sample() for domain in domains]
        trial = SimpleNamespace(trial_id=str(self._count), config=config, status="RUNNING")
        self._count += 1
        self._scheduler.on_trial_add(None, trial)
        return trial

    def report(self, trial: Any, level: int, loss: float) -> bool:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        decision = self._scheduler.on_trial_result(None, trial, {"loss": loss, "epoch": level})
        return level == MAX_LEVEL or bool(decision == "CONTINUE")

    def end(self, trial: Any, level: int, loss: float, stopped: bool) -> None:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        if stopped:
            self._scheduler.on_trial_remove(None, trial)
        else:
            self._scheduler.on_trial_complete(None, trial, {"loss": loss, "epoch": level})
