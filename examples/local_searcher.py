"""A searcher of one's own: it mutates the best configuration so far in one hyperparameter.

Run it with ``python examples/local_searcher.py``; it tunes ``train_height.py`` on this machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudtune.config_space import randint, sample_config, search_space
from cloudtune.optimizer.searchers.searcher import Searcher
from cloudtune.trial import Config

CONFIG_SPACE = {"steps": 20, "width": randint(0, 20), "height": randint(-100, 100)}


class LocalSearcher(Searcher):
    """Local search: the best configuration so far with one hyperparameter drawn anew, or a random one before that.

    Args:
        config_space, points_to_evaluate, random_seed: See ``Searcher``.
        metric: What to compare configurations by.
        mode: ``"min"`` or ``"max"``.
    """

    def __init__(
        self,
        config_space: Mapping[str, Any],
        metric: str,
        mode: str = "min",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
    ) -> None:
        super().__init__(config_space, points_to_evaluate, random_seed)
        self.metric = metric
        self.sign = {"min": 1, "max": -1}[mode]
        self.best_value = math.inf
        self.best_config: Config | None = None

    def suggest(self) -> Config:
        """One mutation of the best configuration."""
        rng = self.random_generator()
        if self.best_config is None:
            return sample_config(self.config_space, rng)
        domains = search_space(self.config_space)
        name = list(domains)[int(rng.integers(len(domains)))]
        return {**self.best_config, name: domains[name].sample(rng)}

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """Keeps the configuration if it is better than the best. NaN compares as not better."""
        value = self.sign * result[self.metric]
        if value < self.best_value:
            self.best_value, self.best_config = value, config


if __name__ == "__main__":
    from cloudtune import StoppingCriterion, Tuner
    from cloudtune.backend import LocalBackend
    from cloudtune.optimizer.schedulers.fifo import FIFOScheduler

    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).parent / "train_height.py")),
        scheduler=FIFOScheduler(CONFIG_SPACE, LocalSearcher(CONFIG_SPACE, "mean_loss"), metric="mean_loss", mode="min"),
        stop_criterion=StoppingCriterion(max_num_trials_started=30, max_wallclock_time=30),
        n_workers=4,
        tuner_name="local-search",
    )
    tuner.run()
    print(tuner.best_config())
