"""Checkpoints that will hardly be needed, with real processes: they go, and who goes on all the same begins anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import choice
from cloudtune.experiments import load_experiment
from cloudtune.optimizer.baselines import ASHA, SyncHyperband
from cloudtune.optimizer.scheduler import TrialScheduler

# Beside its checkpoints a trial notes the epoch that each of its processes began after.
TRAIN = """
import argparse
from pathlib import Path
from cloudtune import Reporter
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json
parser = argparse.ArgumentParser()
parser.add_argument("--loss", type=float)
parser.add_argument("--max_epochs", type=int)
add_checkpointing_to_argparse(parser)
args = parser.parse_args()
done = (load_json(args.st_checkpoint_dir) or {"epoch": 0})["epoch"]
with open(Path(args.st_checkpoint_dir).parent / "begins", "a") as file:
    file.write(f"{done} ")
report = Reporter()
for epoch in range(done + 1, args.max_epochs + 1):
    save_json(args.st_checkpoint_dir, {"epoch": epoch})
    report(epoch=epoch, loss=args.loss)
"""


def run(
    tmp_path: Path, losses: list[float], make: Any, **options: Any
) -> tuple[Tuner, dict[int, list[int]], list[int]]:
    """Runs one trial after another, with these losses; returns where processes began, and who has a checkpoint.

    Args:
        tmp_path: For the script.
        losses: Of the trials, in the order in which they begin.
        make: Makes the scheduler.
        options: For the scheduler.
    """
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    scheduler: TrialScheduler = make(
        {"loss": choice(losses), "max_epochs": 9},
        metric="loss",
        max_resource_attr="max_epochs",
        points_to_evaluate=[{"loss": loss} for loss in losses],
        random_seed=1,
        **options,
    )
    backend = LocalBackend(entry_point=str(script), delete_checkpoints=True)
    tuner = Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_wallclock_time=100),
        n_workers=1,
    )
    tuner.run()
    folders = {int(folder.name): folder for folder in tuner.tuner_path.glob("trials/*") if folder.name.isdigit()}
    begins = {number: list(map(int, (folders[number] / "begins").read_text().split())) for number in sorted(folders)}
    kept = sorted(number for number, folder in folders.items() if (folder / "checkpoints").exists())
    return tuner, begins, kept


def counted(tuner: Tuner) -> dict[int, list[int]]:
    """The epochs of each trial that count for the results."""
    results = load_experiment(tuner.name).results
    epochs: dict[int, list[int]] = {}
    for trial, epoch in zip(results["trial_id"].tolist(), results["epoch"].tolist(), strict=True):
        epochs.setdefault(trial, []).append(epoch)
    return epochs


def test_what_a_synchronous_rung_leaves_behind_goes(tmp_path: Path) -> None:
    """The best three of nine go on from their checkpoints, and the best of them to the end; nothing is left behind."""
    losses = [0.4, 0.2, 0.9, 0.1, 0.8, 0.3, 0.7, 0.6, 0.5]
    tuner, begins, kept = run(tmp_path, losses, SyncHyperband, brackets=1)
    assert {number: one for number, one in begins.items() if len(one) > 1} == {1: [0, 1], 3: [0, 1, 3], 5: [0, 1]}
    assert kept == []
    assert counted(tuner)[3] == list(range(1, 10))
    assert sum(map(len, counted(tuner).values())) == 9 + 3 * 2 + 6


def test_a_trial_that_goes_on_all_the_same_begins_anew(tmp_path: Path) -> None:
    """With room for one checkpoint the second best of three loses its own; promoted later, it trains from the start.

    What it reports a second time counts once, and it is one that arrives at the next rung like any other.
    """
    losses = [0.2, 0.1, 0.3, 0.5, 0.6, 0.7]
    tuner, begins, kept = run(tmp_path, losses, ASHA, type="promotion", max_num_checkpoints=1)
    assert begins == {0: [0, 0], 1: [0, 1], 2: [0], 3: [0], 4: [0], 5: [0]}
    assert counted(tuner) == {0: [1, 2, 3], 1: [1, 2, 3], 2: [1], 3: [1], 4: [1], 5: [1]}
    assert len(kept) == 1
    assert tuner.status.num_trials_failed == 0


@pytest.mark.parametrize("limit", [None, 2])
def test_as_many_are_kept_as_allowed(tmp_path: Path, limit: int | None) -> None:
    """Without a limit every paused trial keeps its checkpoint; with one, so many do, and who goes on finds his."""
    _, begins, kept = run(tmp_path, [0.1, 0.2, 0.3, 0.4], ASHA, type="promotion", max_num_checkpoints=limit)
    assert begins[0] == [0, 1]
    assert kept == ([0, 1, 2, 3] if limit is None else [0, 1])
