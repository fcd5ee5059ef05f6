"""Optuna (https://optuna.org) at the same work."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarking.overhead import function_trials, script_trials
from benchmarking.overhead.measurement import seconds

NAME = "Optuna"
MODULE = "optuna"
SCRIPTS = "script by subprocess, journal file"
FUNCTIONS = "threads of one process, journal file"
ASHA = "SuccessiveHalvingPruner, in memory"


def _optuna() -> Any:
    optuna = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _optimize(objective: Callable[[Any], float], num_trials: int, num_workers: int) -> float:
    """Seconds of a study whose storage is a journal file."""
    optuna = _optuna()
    with tempfile.TemporaryDirectory() as folder:
        backend = optuna.storages.journal.JournalFileBackend(str(Path(folder, "journal")))
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend), sampler=optuna.samplers.RandomSampler(0)
        )
        taken = seconds(lambda: study.optimize(objective, n_trials=num_trials, n_jobs=num_workers))
        if len(study.trials) != num_trials:
            raise RuntimeError(f"{len(study.trials)} of {num_trials} trials are in the journal")
    return taken


def scripts(script: Path) -> float:
    """Seconds for the scripts that end at once, two threads calling them."""

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        argv = [sys.executable, str(script), "--x", str(x), "--seconds", "0"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        return float(x)

    return _optimize(objective, script_trials.NUM_TRIALS, script_trials.NUM_WORKERS)


def functions() -> float:
    """Seconds for the function trials, each report in the journal."""

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for number in range(function_trials.NUM_REPORTS):
            trial.report(x / (number + 1), number + 1)
        return float(x)

    return _optimize(objective, function_trials.NUM_TRIALS, function_trials.NUM_WORKERS)


class SuccessiveHalving:
    """Its pruner, by ask and tell, with a random sampler."""

    def __init__(self) -> None:
        self._optuna = optuna = _optuna()
        self._study = optuna.create_study(
            sampler=optuna.samplers.RandomSampler(0),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        )
        number, integer = optuna.distributions.FloatDistribution, optuna.distributions.IntDistribution
        self._space = {
            "lr": number(1e-5, 1, log=True),
            "width": integer(8, 512),
            "a": number(0, 1),
            "b": number(0, 1),
        }

    def suggest(self) -> Any:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        return self._study.ask(self._space)

    def report(self, trial: Any, level: int, loss: float) -> bool:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        trial.report(loss, level)
        return not trial.should_prune()

    def end(self, trial: Any, level: int, loss: float, stopped: bool) -> None:
        """See :class:`~benchmarking.overhead.asha_calls.Method`."""
        if stopped:
            self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, loss)
