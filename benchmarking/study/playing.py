"""Runs one experiment, and keeps of it what the claims are judged by."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarking.study.experiment import Experiment
from benchmarking.study.stragglers import WithStragglers
from benchmarking.study.tables import Ground, ground
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import SimulatorBackend
from cloudtune.blackbox import Blackbox
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.optimizer import baselines
from cloudtune.store.local_store import LocalStore
from cloudtune.trial import Config, Trial

#: What is kept of an experiment: JSON values.
Record = dict[str, Any]

_TO_TRAIN = "train_to"
#: Dollars an hour at which a worker costs a dollar a second, so that costs are worker-seconds.
_A_DOLLAR_A_SECOND = 3600.0


class _Best(TunerCallback):
    """Notes the best report, and when its place in the table has become better."""

    def __init__(self, metric: str, ground_: Ground, seed: int) -> None:
        self._metric = metric
        self._ground = ground_
        self._seed = seed
        self._backend: Any = None
        self._begun = 0.0
        self.best = math.inf
        self.config: Config | None = None
        self.steps: list[tuple[float, int]] = []

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._backend = tuner.trial_backend
        self._begun = self._backend.time()

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        value = result.get(self._metric)
        if value is None or not value < self.best:
            return
        if math.isfinite(value):
            self.best, self.config = value, dict(trial.config)
            rank = self._ground.rank(value, self._seed)
            if not self.steps or rank < self.steps[-1][1]:
                self.steps.append((round(self._backend.time() - self._begun, 3), rank))


def play(experiment: Experiment) -> Record:
    """Runs an experiment through the tuner, its log on a disk, and tells how it went.

    Its method chooses among the configurations of the table.

    Returns:
        ``steps``: the place in the table of the best value so far, each time it becomes better, after its virtual time
        in seconds; ``best``: that value in the end; ``seconds`` and ``limit`` (None: none) of virtual time; ``epochs``
        trained; ``worker_seconds`` that trials kept workers busy; ``started`` and ``completed`` trials; ``end_rank``:
        the place of the best configuration if it is trained to the end. The same for the same experiment, on every
        machine.
    """
    setup, on = experiment.setup, ground(experiment.table)
    blackbox: Blackbox = on.table
    if setup.slow_share:
        blackbox = WithStragglers(on.table, setup.slow_share, setup.slow_factor, experiment.seed)
    metric, seed = blackbox.metrics[0], experiment.seed
    method: Any = getattr(baselines, setup.method)
    arguments = {
        "metric": metric,
        "resource_attr": blackbox.resource_attr,
        "max_resource_attr": _TO_TRAIN,
        "random_seed": seed,
        "restrict_configurations": on.table.configurations(),
        **setup.options,
    }
    scheduler = method({**blackbox.config_space, _TO_TRAIN: blackbox.max_resource}, **arguments)
    limit = None if setup.whole_trials is None else setup.whole_trials * on.whole_trial
    limits: dict[str, Any] = {**setup.limits, "max_wallclock_time": limit}
    best = _Best(metric, on, seed)
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        tuner = Tuner(
            SimulatorBackend(blackbox, seed=seed, delays=on.delays, dollars_per_hour=_A_DOLLAR_A_SECOND),
            scheduler,
            StoppingCriterion(**limits),
            n_workers=setup.n_workers,
            tuner_name="study",
            suffix_tuner_name=False,
            callbacks=[ProgressCallback(live=False), best],
            save_tuner=False,
            store=LocalStore(Path(folder) / "study"),
        )
        tuner.run()
    status = tuner.status
    return {
        "steps": [list(step) for step in best.steps],
        "best": None if best.config is None else best.best,
        "seconds": round(status.wallclock_time, 6),
        "limit": limit,
        "epochs": status.num_evaluations,
        "worker_seconds": round(status.cost, 3),
        "started": status.num_trials_started,
        "completed": status.num_trials_completed,
        "end_rank": _rank_at_end(on, best.config, seed),
    }


def _rank_at_end(on: Ground, config: Config | None, seed: int) -> int:
    if config is None:
        return on.table.num_configs
    value = on.table.curve(config, seed).metrics[on.table.metrics[0]][-1]
    return on.rank(math.nan if value is None else value, seed, at_end=True)


def _fast_folder() -> str | None:
    """Memory, where the system has a folder in it: logs are read by nobody."""
    memory = "/dev/shm"  # noqa: S108 - a folder of its own is made in it
    return memory if os.access(memory, os.W_OK) else None
