"""Draws the figure of the guide on studies: random search and ASHA, with 2, 4 and 8 workers, five times each.

The learning curves are real ones: 100 networks are trained on the digits, which takes some minutes of one core. The
studies over them are played through on a clock of their own, by the schedulers themselves: starting a trial takes a
minute, as a training job may, and an epoch ten seconds.

    python benchmarking/study_picture.py docs/images/studies-comparison.png
"""

from __future__ import annotations

import argparse
import heapq
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # also where this is run as a script

import numpy as np
import pandas as pd

from benchmarking.definitions.digits_mlp import digits_mlp
from benchmarking.training_scripts.digits_mlp import new_network, split_digits
from cloudtune.config_space import choice, sample_config
from cloudtune.experiments import ComparativeResults, ExperimentResult, PlotParameters, SubplotParameters
from cloudtune.optimizer.baselines import ASHA, RandomSearch
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from cloudtune.trial import Trial

NETWORKS, EPOCHS, SEEDS, WORKERS = 100, 27, 5, (2, 4, 8)
START_TIME, EPOCH_TIME, LIMIT = 60.0, 10.0, 1800.0
METHODS = ("random search", "ASHA")


def train_all() -> list[list[float]]:
    """Validation errors of networks with random hyperparameters, after each epoch."""
    images, labels, held_out = split_digits()
    space, generator = digits_mlp().config_space, np.random.default_rng(0)
    curves = []
    for number in range(NETWORKS):
        config = argparse.Namespace(**sample_config(space, generator), random_seed=number)
        network = new_network(config)
        errors = []
        for _ in range(EPOCHS):
            network.partial_fit(images[~held_out], labels[~held_out], classes=np.arange(10))
            errors.append(float(np.mean(network.predict(images[held_out]) != labels[held_out])))
        curves.append(errors)
    return curves


def play(curves: Sequence[Sequence[float]], method: str, workers: int, seed: int) -> ExperimentResult:
    """An experiment: trials are rows of the table, and wall-clock time is counted, not waited for."""
    space = {"network": choice(list(range(len(curves)))), "max_epochs": EPOCHS}
    scheduler = make_scheduler(method, space, seed)
    rows: list[dict[str, Any]] = []
    at_work: list[tuple[float, int, int]] = []  # time of the next report, trial, epoch
    trials: list[Trial] = []

    def start(now: float) -> None:
        suggestion = scheduler.suggest()
        if suggestion is not None and suggestion.config is not None:
            trial = Trial(len(trials), suggestion.config)
            trials.append(trial)
            scheduler.on_trial_add(trial)
            heapq.heappush(at_work, (now + START_TIME + EPOCH_TIME, trial.trial_id, 1))

    for _ in range(workers):
        start(0.0)
    while at_work:
        now, trial_id, epoch = heapq.heappop(at_work)
        if now > LIMIT:
            break
        trial = trials[trial_id]
        result = {"validation_error": curves[trial.config["network"]][epoch - 1], "epoch": epoch}
        decision = scheduler.on_trial_result(trial, result)
        rows.append({"trial_id": trial_id, "st_decision": decision, "st_tuner_time": now, **result})
        if decision == SchedulerDecision.CONTINUE and epoch < EPOCHS:
            heapq.heappush(at_work, (now + EPOCH_TIME, trial_id, epoch + 1))
        else:
            if decision == SchedulerDecision.CONTINUE:
                scheduler.on_trial_complete(trial, result)
            start(now)
    metadata = {**scheduler.metadata(), "method": method, "n_workers": workers, "seed": seed, "benchmark": "digits_mlp"}
    metadata["st_finished_state"] = "finished"
    return ExperimentResult(f"{method}-w{workers}-{seed}", pd.DataFrame(rows), metadata, Path("played"))


def make_scheduler(method: str, space: dict[str, Any], seed: int) -> TrialScheduler:
    """Of the same seed: both begin with the same networks."""
    options: dict[str, Any] = {"metric": "validation_error", "mode": "min", "random_seed": seed}
    # There are fewer networks than an experiment has trials.
    options["allow_duplicates"] = True
    if method == "ASHA":
        return ASHA(space, resource_attr="epoch", max_resource_attr="max_epochs", **options)
    return RandomSearch(space, **options)


def draw(curves: Sequence[Sequence[float]], file_name: str) -> None:
    """Plays the studies through, and draws them."""
    experiments = [
        play(curves, method, workers, seed) for method in METHODS for workers in WORKERS for seed in range(SEEDS)
    ]
    results = ComparativeResults(
        experiments,
        num_runs=SEEDS,
        metadata_to_setup=lambda metadata: f"{metadata['n_workers']} workers",
        metadata_to_subplot=lambda metadata: METHODS.index(metadata["method"]),
        plot_params=PlotParameters(
            xlabel="wall-clock time [min]",
            ylabel="best validation error so far [%]",
            metric_multiplier=100,
            time_unit="min",
            dpi=130,
            subplots=SubplotParameters(titles=METHODS),
        ),
    )
    results.plot(file_name=file_name)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    draw(train_all(), sys.argv[1])
