"""Population-based training with real processes: checkpoints are copied, and what is trained goes on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.experiments import load_experiment
from cloudtune.optimizer.baselines import PopulationBasedTraining

# What a trial has learnt is a sum over its epochs, so that it tells where a trial has begun.
TRAIN = """
import argparse, time
from cloudtune import Reporter
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--max_epochs", type=int)
add_checkpointing_to_argparse(parser)
args = parser.parse_args()
state = load_json(args.st_checkpoint_dir) or {"epoch": 0, "learnt": 0.0}
report = Reporter()
for epoch in range(state["epoch"] + 1, args.max_epochs + 1):
    time.sleep(0.05)
    state = {"epoch": epoch, "learnt": state["learnt"] + args.rate}
    save_json(args.st_checkpoint_dir, state)
    report(epoch=epoch, learnt=state["learnt"])
"""


def run(tmp_path: Path, n_workers: int, **options: Any) -> Tuner:
    """Trains a population of three until three members have been replaced."""
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    space = {"rate": uniform(0, 1), "max_epochs": 60}
    scheduler = PopulationBasedTraining(
        space,
        metric="learnt",
        mode="max",
        max_resource_attr="max_epochs",
        population_size=3,
        perturbation_interval=3,
        points_to_evaluate=[{"rate": 0.9}, {"rate": 0.5}, {"rate": 0.1}],
        random_seed=1,
    )
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(script), **options),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=6) | StoppingCriterion(max_num_evaluations=150),
        n_workers=n_workers,
    )
    tuner.run()
    return tuner


@pytest.mark.parametrize(("n_workers", "delete_checkpoints"), [(3, False), (2, True)])
def test_a_copy_goes_on_from_the_checkpoint_it_was_given(
    tmp_path: Path, n_workers: int, delete_checkpoints: bool
) -> None:
    """Its first value is the source's at that epoch and one step more; with fewer workers than members, too."""
    tuner = run(tmp_path, n_workers, delete_checkpoints=delete_checkpoints)
    results = load_experiment(tuner.name).results
    columns = [results[name].tolist() for name in ("trial_id", "epoch", "learnt")]
    learnt = {(int(trial_id), int(epoch)): float(value) for trial_id, epoch, value in zip(*columns, strict=True)}
    copies = {
        trial_id: record.checkpoint_from
        for trial_id, record in tuner.status.records.items()
        if record.checkpoint_from is not None
    }
    assert copies
    checked = 0
    for trial_id, source in copies.items():
        first = min((epoch for of, epoch in learnt if of == trial_id), default=None)
        if first is None or (source, first - 1) not in learnt:
            continue  # stopped before it has reported, or the source was, between saving and reporting
        rate = tuner.status.records[trial_id].trial.config["rate"]
        assert first > 3
        assert learnt[trial_id, first] == pytest.approx(learnt[source, first - 1] + rate)
        checked += 1
    assert checked
    assert sum(record.checkpoint_from is None for record in tuner.status.records.values()) == 3
