"""The same 40 scripts and 200 functions through Optuna, Syne Tune and Ray Tune, where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarking.overhead import script_trials
from benchmarking.overhead.measurement import Row, seconds


def optuna_scripts(script: Path) -> float:
    """Optuna, two threads that call the script by ``subprocess``, journal file."""
    optuna: Any = importlib.import_module("optuna")

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        argv = [sys.executable, str(script), "--x", str(x), "--seconds", "0"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        return float(x)

    with tempfile.TemporaryDirectory() as folder:
        backend = optuna.storages.journal.JournalFileBackend(str(Path(folder, "journal")))
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend), sampler=optuna.samplers.RandomSampler(0)
        )
        return seconds(
            lambda: study.optimize(objective, n_trials=script_trials.NUM_TRIALS, n_jobs=script_trials.NUM_WORKERS)
        )


def syne_tune_scripts(_script: Path) -> float:
    """Syne Tune's LocalBackend as it comes, with its own Reporter."""
    syne_tune: Any = importlib.import_module("syne_tune")
    backends: Any = importlib.import_module("syne_tune.backend")
    domains: Any = importlib.import_module("syne_tune.config_space")
    baselines: Any = importlib.import_module("syne_tune.optimizer.baselines")

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "train.py")
        script.write_text(
            "import argparse\nfrom syne_tune import Reporter\nparser = argparse.ArgumentParser()\n"
            "parser.add_argument('--x', type=float)\nargs, _ = parser.parse_known_args()\nReporter()(loss=args.x)\n"
        )
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        space = {"x": domains.uniform(0, 1)}
        try:
            scheduler = baselines.RandomSearch(space, metric="loss", mode="min")
        except TypeError:
            scheduler = baselines.RandomSearch(space, metrics=["loss"])
        tuner = syne_tune.Tuner(
            trial_backend=backends.LocalBackend(entry_point=str(script)),
            scheduler=scheduler,
            stop_criterion=syne_tune.StoppingCriterion(max_num_trials_finished=script_trials.NUM_TRIALS - 1),
            n_workers=script_trials.NUM_WORKERS,
        )
        return seconds(tuner.run)


def ray_scripts(script: Path) -> float:
    """Ray Tune, a function trainable that runs the script."""
    ray: Any = importlib.import_module("ray")
    tune: Any = importlib.import_module("ray.tune")

    def objective(config: dict[str, float]) -> dict[str, float]:
        argv = [sys.executable, str(script), "--x", str(config["x"]), "--seconds", "0"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        return {"loss": config["x"]}

    ray.init(num_cpus=script_trials.NUM_WORKERS, log_to_driver=False, include_dashboard=False)
    try:
        tuner = tune.Tuner(
            objective,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=script_trials.NUM_TRIALS),
        )
        return seconds(tuner.fit)
    finally:
        ray.shutdown()


_PEERS: dict[str, tuple[str, Callable[[Path], float]]] = {
    "optuna": ("Optuna, script by subprocess", optuna_scripts),
    "syne_tune": ("Syne Tune, LocalBackend as it comes", syne_tune_scripts),
    "ray": ("Ray Tune, script by subprocess", ray_scripts),
}


def measure(_repeats: int) -> list[Row]:
    """A row for each peer that is installed: the scripts that end at once, against the same floor."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(script_trials.BARE)
        for module, (name, run) in _PEERS.items():
            if importlib.util.find_spec(module) is not None:
                floor = script_trials.bare_popen(bare, 0.0)
                rows.append(Row(f"peer: {name}", run(bare), floor, "s", None, "bare Popen, no report"))
    return rows
