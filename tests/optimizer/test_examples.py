"""The examples of a scheduler and a searcher of one's own do what they say, and run as scripts."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from cloudtune.optimizer.schedulers import FIFOScheduler
from cloudtune.trial import Trial
from examples import local_searcher, standalone_scheduler
from examples.train_height import mean_loss

EXAMPLES = Path(__file__).parents[2] / "examples"


def tune(scheduler: TrialScheduler, n: int) -> list[tuple[dict[str, Any], list[float], str]]:
    """Runs ``n`` trials of the example one after another: configuration, losses and last decision of each."""
    trials = []
    for trial_id in range(n):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config is not None
        trial = Trial(trial_id, suggestion.config)
        scheduler.on_trial_add(trial)
        losses: list[float] = []
        decision = SchedulerDecision.CONTINUE
        for epoch in range(1, trial.config["steps"] + 1):
            losses.append(mean_loss(epoch, trial.config["width"], trial.config["height"]))
            decision = scheduler.on_trial_result(trial, {"epoch": epoch, "mean_loss": losses[-1]})
            if decision != SchedulerDecision.CONTINUE:
                scheduler.on_trial_remove(trial)
                break
        trials.append((trial.config, losses, decision))
    return trials


def test_what_is_not_in_the_top_80_percent_is_cut() -> None:
    """A trial is stopped at the first epoch at which more than 80 % of the earlier ones were better."""
    scheduler = standalone_scheduler.TopShareScheduler(standalone_scheduler.CONFIG_SPACE, "mean_loss", random_seed=1)
    trials = tune(scheduler, 60)
    assert 5 < sum(decision == SchedulerDecision.STOP for _, _, decision in trials) < 60
    for i, (_, losses, decision) in enumerate(trials):
        for epoch, loss in enumerate(losses):
            earlier = [other[epoch] for _, other, _ in trials[:i] if len(other) > epoch]
            cut = bool(earlier) and sum(other < loss for other in earlier) > 0.8 * len(earlier)
            assert cut == (decision == SchedulerDecision.STOP and epoch == len(losses) - 1)


def test_the_example_scheduler_ranks_nan_worst() -> None:
    """NaN at an epoch where others were finite is cut, and does not spoil the order of the rest."""
    scheduler = standalone_scheduler.TopShareScheduler(standalone_scheduler.CONFIG_SPACE, "mean_loss")
    losses = [math.nan, 1.0, 2.0, math.nan, 0.5, 3.0]
    answers = [scheduler.on_trial_result(Trial(i), {"epoch": 1, "mean_loss": loss}) for i, loss in enumerate(losses)]
    assert answers == ["CONTINUE"] * 6
    assert scheduler.reported[1] == [0.5, 1.0, 2.0, 3.0, math.inf, math.inf]


def test_the_example_scheduler_follows_the_mode() -> None:
    """With "max" the trials of large values run on, NaN still ranks worst, and the tuner is told what is best."""
    scheduler = standalone_scheduler.TopShareScheduler(
        standalone_scheduler.CONFIG_SPACE, "accuracy", mode="max", share=0.5
    )
    values = [0.5, 0.9, 0.4, 0.8, math.nan]
    answers = [scheduler.on_trial_result(Trial(i), {"epoch": 1, "accuracy": value}) for i, value in enumerate(values)]
    assert answers == ["CONTINUE", "CONTINUE", "STOP", "CONTINUE", "STOP"]
    assert scheduler.metric_mode() == "max"


def test_local_search_changes_the_best_in_one_place() -> None:
    """After the first trial every configuration differs from the best so far in at most one hyperparameter."""
    space = local_searcher.CONFIG_SPACE
    searcher = local_searcher.LocalSearcher(space, "mean_loss")
    trials = tune(FIFOScheduler(space, searcher, metric="mean_loss", random_seed=2), 40)
    best_loss, best = math.inf, trials[0][0]
    changed = set()
    for config, losses, _ in trials:
        differing = [name for name in space if config[name] != best[name]]
        assert len(differing) <= 1
        changed.update(differing)
        if min(losses) < best_loss:
            best_loss, best = min(losses), config
    assert changed == {"width", "height"}
    assert best_loss < min(trials[0][1])


def test_local_search_follows_the_mode() -> None:
    """With "max" the best is the largest, and NaN is never the best."""
    searcher = local_searcher.LocalSearcher(local_searcher.CONFIG_SPACE, "mean_loss", mode="max")
    for value in (1.0, 3.0, math.nan, 2.0):
        searcher.on_trial_result(0, {"value": value}, {"mean_loss": value})
    assert searcher.best_config == {"value": 3.0}


@pytest.mark.parametrize("name", ["standalone_scheduler.py", "local_searcher.py"])
def test_the_examples_run(name: str, tmp_path: Path) -> None:
    """The script tunes its training script with the real tuner, and says what is best."""
    environment = {**os.environ, "CLOUDTUNE_FOLDER": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        timeout=280,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "height" in done.stdout.splitlines()[-1]
    assert any(tmp_path.iterdir())
