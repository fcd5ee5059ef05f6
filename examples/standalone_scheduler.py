"""A scheduler of one's own: random search that cuts every trial that is not in the top 80 % at its epoch.

Run it with ``python examples/standalone_scheduler.py``; it tunes ``train_height.py`` on this machine.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.config_space import randint, sample_config
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.trial import Trial

CONFIG_SPACE = {"steps": 20, "width": randint(0, 20), "height": randint(-100, 100)}


class TopShareScheduler(TrialScheduler):
    """Random search that stops a trial when its metric is not among the best of what was reported at the same epoch.

    The question is asked anew at every epoch, among those that got there: few trials get far.

    Args:
        config_space: Hyperparameter domains and constants.
        metric: What scripts report.
        mode: ``"min"`` or ``"max"``: which values of it are better, small ones or large ones.
        resource_attr: Key of a report that counts epochs.
        share: The share of trials that run on.
        random_seed: Seed. Drawn from the operating system if None.
    """

    resource_attr: str

    def __init__(
        self,
        config_space: Mapping[str, Any],
        metric: str,
        mode: str = "min",
        resource_attr: str = "epoch",
        share: float = 0.8,
        random_seed: int | None = None,
    ) -> None:
        super().__init__(config_space, random_seed)
        self.metric = metric
        self.mode = mode
        self.sign = {"min": 1, "max": -1}[mode]
        self.resource_attr = resource_attr
        self.share = share
        self.reported: dict[int, list[float]] = defaultdict(list)

    def _suggest(self) -> TrialSuggestion:
        return TrialSuggestion.start_suggestion(sample_config(self.config_space, self.random_generator()))

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """Stops the trial unless at most a share of ``share`` of the others were better at this epoch."""
        value = self.sign * result[self.metric]  # smaller is better
        if value != value:  # NaN, which would not stand in any order
            value = math.inf
        values = self.reported[result[self.resource_attr]]
        better = bisect_left(values, value)
        in_the_top = not values or better / len(values) <= self.share
        insort(values, value)
        return SchedulerDecision.CONTINUE if in_the_top else SchedulerDecision.STOP

    def metric_names(self) -> list[str]:
        """The one metric."""
        return [self.metric]

    def metric_mode(self) -> str:
        """What the tuner is to take for the best."""
        return self.mode


if __name__ == "__main__":
    from cloudtune import StoppingCriterion, Tuner
    from cloudtune.backend import LocalBackend

    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).parent / "train_height.py")),
        scheduler=TopShareScheduler(CONFIG_SPACE, metric="mean_loss"),
        stop_criterion=StoppingCriterion(max_num_trials_started=30, max_wallclock_time=30),
        n_workers=4,
        tuner_name="top-80-percent",
    )
    tuner.run()
    print(tuner.best_config())
