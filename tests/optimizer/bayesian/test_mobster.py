"""MOBSTER: Bayesian optimisation of what trials show at several levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cloudtune.optimizer.baselines import MOBSTER
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.searchers.bayesian import searcher as searching
from cloudtune.optimizer.searchers.bayesian.models import Models
from cloudtune.trial import Config, Trial
from tests.optimizer.bayesian.test_searcher import LINE, PLANE


def curve(config: Config, epoch: int) -> float:
    """Losses that fall with training, and whose order at the beginning is nearly that at the end."""
    return float((config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2 + 1.0 / epoch - 1.0 / 9.0)


def halving(scheduler: TrialScheduler, count: int) -> list[Config]:
    """Runs promotion or stopping with one worker; configurations of the trials in order."""
    trials: dict[int, Trial] = {}
    epochs: dict[int, int] = {}
    while len(trials) < count:
        suggestion = scheduler.suggest()
        assert suggestion is not None
        if suggestion.trial_id is None:
            assert suggestion.config is not None
            trial = trials[len(trials)] = Trial(len(trials), suggestion.config)
            scheduler.on_trial_add(trial)
        else:
            trial = trials[suggestion.trial_id]
        decision = "CONTINUE"
        while decision == "CONTINUE":
            epoch = epochs[trial.trial_id] = epochs.get(trial.trial_id, 0) + 1
            result = {"loss": curve(trial.config, epoch), "epoch": epoch}
            decision = scheduler.on_trial_result(trial, result)
        scheduler.on_trial_remove(trial)
    return [trial.config for trial in trials.values()]


@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_mobster_learns_from_all_levels(kind: str) -> None:
    """After some trials, most of which were trained for an epoch only, its configurations are good ones."""
    scheduler = MOBSTER(
        PLANE, metric="loss", max_t=9, type=kind, points_to_evaluate=[], random_seed=0, num_init_random=5
    )
    configs = halving(scheduler, 14)
    assert np.mean([curve(config, 9) for config in configs[9:]]) < 0.3 * np.mean(
        [curve(config, 9) for config in configs[:5]]
    )
    assert isinstance(scheduler.searcher, searching.BayesianSearcher)
    assert scheduler.searcher.num_failed_fits == 0


def test_what_ends_at_a_low_level_is_not_proposed_again() -> None:
    """Where all trials end below the level that counts, it stays unknown what they would be worth there."""
    searcher = searching.BayesianSearcher(LINE, points_to_evaluate=[], random_seed=0, num_init_random=4)
    searcher.aim(Goal(("loss",), ("min",), "epoch", levels=(1, 3, 9)))

    def play(trial_id: int, config: Config, loss: float, num_levels: int) -> None:
        searcher.on_trial_add(trial_id, config)
        for epoch in (1, 3, 9)[:num_levels]:
            searcher.on_trial_result(trial_id, config, {"loss": loss + 1.0 / epoch, "epoch": epoch})
        searcher.on_trial_remove(trial_id, config)

    for trial_id, (x, loss) in enumerate([(0.0, 0.9), (0.15, 0.6), (0.45, 0.35), (0.6, 0.3)]):
        searcher.next_config()
        play(trial_id, {"x": x}, loss, num_levels=3)
    proposed = []
    for trial_id in range(4, 12):
        config = searcher.next_config()
        assert config is not None
        proposed.append(config["x"])
        play(trial_id, config, 0.25, num_levels=1)
    assert np.diff(np.sort(proposed)).min() > 0.01


def ends_early(config: Config, by: str) -> bool:
    """Whether a trial ends, or is stopped, at epoch 2."""
    return by != "nobody" and bool(config["x"] < 0.4)


@pytest.mark.parametrize("by", ["nobody", "its script", "somebody"])
def test_where_trials_end_before_the_first_level_no_more_are_begun(by: str) -> None:
    """Scripts that give up, and whoever stops bad trials, do so where it is bad: the model learns of them too."""
    scheduler = MOBSTER(
        PLANE, metric="loss", max_t=9, grace_period=3, points_to_evaluate=[], random_seed=0, num_init_random=5
    )
    proposed = []
    for number in range(16):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config is not None
        trial = Trial(number, suggestion.config)
        x, y = trial.config["x"], trial.config["y"]
        proposed.append(x)
        scheduler.on_trial_add(trial)
        result: dict[str, Any] = {}
        decision = "CONTINUE"
        for epoch in range(1, 3 if ends_early(trial.config, by) else 10):
            loss = (5.0 if x < 0.4 else x + (y - 0.5) ** 2) + 1.0 / epoch
            result = {"loss": loss, "epoch": epoch}
            decision = scheduler.on_trial_result(trial, result)
            if decision != "CONTINUE":
                break
        if decision != "CONTINUE" or (ends_early(trial.config, by) and by == "somebody"):
            scheduler.on_trial_remove(trial)
        else:
            scheduler.on_trial_complete(trial, result)
    assert sum(x < 0.4 for x in proposed[5:]) <= 2


def test_improvement_is_sought_at_the_highest_level_that_enough_have_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three trials at a level are enough; before, it is the level below."""
    levels = []
    honest = Models._target_level

    def watched(self: Any) -> int:
        levels.append((sum(one.level == 1 for one in self._snapshot.observations), honest(self)))
        return levels[-1][1]

    monkeypatch.setattr(Models, "_target_level", watched)
    halving(MOBSTER(PLANE, metric="loss", max_t=3, points_to_evaluate=[], random_seed=0, num_init_random=2), 12)
    assert {level for count, level in levels if count < 3} == {0}
    assert {level for count, level in levels if count >= 3} == {1}
