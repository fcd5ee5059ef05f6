"""The median stopping rule.

Source: Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization" (KDD), section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from cloudtune.config_domains import plain_value
from cloudtune.optimizer.argument_checks import check_key_of_report, is_comparable, switch, whole_number
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.optimizer.schedulers.rungs import BestShare, best_values, rank_value
from cloudtune.trial import Trial

#: Values are added up as this share of themselves: so many of the largest floats give a sum that is finite, and a power
#: of two changes no digit.
_SHARE = 2.0**-32


class _Progress:
    """What one trial has reported so far; ``total`` in units of ``1 / _SHARE``."""

    __slots__ = ("count", "resource", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.resource = float("-inf")


class MedianStoppingRule(TrialScheduler):
    """Wraps a scheduler, and stops trials that are worse than the median of the others at the same resource.

    The wrapped scheduler is told everything and decides first; the rule applies where it says CONTINUE. Compared are
    running averages of the metric, each trial with all trials that have reported at that resource (the paper compares
    with completed trials only, which says nothing until some are). NaN and infinite values rank worst, and with running
    averages so does everything that the trial reports after one. Such a trial is stopped, once grace is over, even if
    so many have diverged that it is no worse than the median. A report costs O(log n) for n trials.

    Args:
        scheduler: Any scheduler.
        resource_attr: Key of a report that counts the resource used so far (epochs).
        running_average: False: compare the values themselves instead of their running averages.
        grace_time: A trial is not stopped until its resource exceeds this.
        grace_population: Nor until at least this many trials, itself included, have reported at the resource.
        rank_cutoff: The share of trials, above 0 and below 1, to which a trial must belong in order to run on: 0.5 is
            the median, 0.2 stops all but the best fifth.
        metric: Which of the scheduler's metrics to compare. Its first one if None.

    Raises:
        TypeError: ``scheduler`` is none.
        ValueError: Another argument is wrong; the message names it.
    """

    resource_attr: str

    def __init__(
        self,
        scheduler: TrialScheduler,
        resource_attr: str,
        running_average: bool = True,
        grace_time: float = 1,
        grace_population: int = 5,
        rank_cutoff: float = 0.5,
        metric: str | None = None,
    ) -> None:
        if not isinstance(scheduler, TrialScheduler):
            raise TypeError(
                f"scheduler must be an object such as ASHA(...), which the rule wraps, got {scheduler!r}; call a class "
                "with its arguments first"
            )
        check_key_of_report("resource_attr", resource_attr, "name the key that counts epochs")
        names = scheduler.metric_names()
        if metric is not None and metric not in names:
            raise ValueError(f"metric {metric!r} is not one of the wrapped scheduler's, which are {', '.join(names)}")
        if not is_comparable(rank_cutoff) or not 0 < rank_cutoff < 1:
            raise ValueError(f"rank_cutoff must be above 0 and below 1, got {rank_cutoff!r}; 0.5 is the median")
        if not is_comparable(grace_time):
            raise ValueError(f"grace_time must be a number of {resource_attr!r}, got {grace_time!r}; 1 is usual")
        whole_number("grace_population", grace_population, 1, "5 is usual")
        if (names[0] if metric is None else metric) == resource_attr:
            raise ValueError(
                f"resource_attr={resource_attr!r} is what is to be compared; name the key that counts epochs"
            )
        if scheduler.resource_attr is not None and scheduler.resource_attr != resource_attr:
            raise ValueError(
                f"resource_attr={resource_attr!r} differs from the wrapped scheduler's {scheduler.resource_attr!r}; "
                "use the same"
            )
        super().__init__(scheduler.config_space, scheduler.random_seed)
        self.random_seed_given = scheduler.random_seed_given
        self.num_suggestions = scheduler.num_suggestions
        self.scheduler = scheduler
        self.resource_attr = resource_attr
        self.max_resource_attr = scheduler.max_resource_attr
        self.running_average = switch("running_average", running_average)
        self.grace_time = grace_time
        self.grace_population = int(grace_population)
        self.rank_cutoff = rank_cutoff
        self._metric = names[0] if metric is None else metric
        modes = scheduler.metric_mode()
        mode = modes if isinstance(modes, str) else modes[names.index(self._metric)]
        self._maximize = mode == "max"
        self._share = float(rank_cutoff).as_integer_ratio()
        self._at_resource: dict[float, BestShare[float]] = {}
        self._progress: dict[int, _Progress] = {}
        self._stopped: set[int] = set()

    def metric_names(self) -> list[str]:
        """Those of the wrapped scheduler."""
        return self.scheduler.metric_names()

    def metric_mode(self) -> str | list[str]:
        """That of the wrapped scheduler."""
        return self.scheduler.metric_mode()

    def metadata(self) -> dict[str, Any]:
        """As the wrapped scheduler's, under the name of this class; its own name is ``wrapped_scheduler_name``."""
        inner = self.scheduler.metadata()
        rule = {
            "wrapped_scheduler_name": inner["scheduler_name"],
            "metric": self._metric,
            "running_average": self.running_average,
            "grace_time": self.grace_time,
            "grace_population": self.grace_population,
            "rank_cutoff": self.rank_cutoff,
        }
        return {**inner, **super().metadata(), **plain_value(rule)}

    def outcome(self) -> dict[str, Any]:
        """That of the wrapped scheduler."""
        return self.scheduler.outcome()

    def set_random_seed(self, random_seed: int) -> None:
        """Replaces the seed of the wrapped scheduler, before the first suggestion."""
        super().set_random_seed(random_seed)
        self.scheduler.set_random_seed(random_seed)

    def _suggest(self) -> TrialSuggestion | None:
        return self.scheduler.suggest()

    def work(self) -> Callable[[], Any] | None:
        """The wrapped scheduler's."""
        return self.scheduler.work()

    def take(self, result: Any) -> None:
        """Given to the wrapped scheduler."""
        self.scheduler.take(result)

    def libraries(self) -> Sequence[str]:
        """The wrapped scheduler's."""
        return self.scheduler.libraries()

    def expendable_checkpoints(self) -> Sequence[int]:
        """The wrapped scheduler's."""
        return self.scheduler.expendable_checkpoints()

    def _restore(self, suggestion: TrialSuggestion) -> None:
        self.scheduler.restore(suggestion)

    def on_trial_add(self, trial: Trial) -> None:
        """Told to the wrapped scheduler."""
        self.scheduler.on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """The wrapped scheduler's decision, or STOP where that is CONTINUE and the trial is worse than the cutoff.

        Raises:
            ValueError: The report lacks ``resource_attr`` or the metric, or they are no numbers.
        """
        decision = self.scheduler.on_trial_result(trial, result)
        if trial.trial_id in self._stopped:
            return SchedulerDecision.STOP
        try:
            resource, value = float(result[self.resource_attr]), result[self._metric]
            ranked = rank_value(value, self._maximize)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"trial {trial.trial_id} must report {self.resource_attr!r} (resource_attr) and {self._metric!r} "
                "(metric) as numbers; correct the script or the scheduler's arguments"
            ) from error
        goes_on = self._compare(trial.trial_id, resource, ranked)
        if decision == SchedulerDecision.CONTINUE and not goes_on:
            decision = SchedulerDecision.STOP
        if decision == SchedulerDecision.STOP:
            self._forget(trial.trial_id)
            self._stopped.add(trial.trial_id)
        return decision

    def _compare(self, trial_id: int, resource: float, ranked: float) -> bool:
        """Adds a report, and says whether its trial belongs to the better share."""
        progress = self._progress.setdefault(trial_id, _Progress())
        if not resource > progress.resource:
            # A repeated report; the trial was compared at this resource already.
            return True
        progress.resource = resource
        progress.count += 1
        progress.total += ranked * _SHARE
        compared = progress.total / progress.count if self.running_average else ranked
        best = self._at_resource.get(resource)
        if best is None:
            best = self._at_resource[resource] = best_values(*self._share)
        best.add(compared)
        worst = best.worst()
        if resource <= self.grace_time or best.size < self.grace_population:
            return True
        return worst is None or (compared < math.inf and compared <= worst)

    def _forget(self, trial_id: int) -> None:
        self._progress.pop(trial_id, None)

    def on_script_end(self, trial: Trial, result: dict[str, Any]) -> str:
        """The wrapped scheduler's answer."""
        return self.scheduler.on_script_end(trial, result)

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """Told to the wrapped scheduler."""
        self.scheduler.on_trial_complete(trial, result)

    def on_trial_error(self, trial: Trial) -> None:
        """Told to the wrapped scheduler."""
        self._forget(trial.trial_id)
        self.scheduler.on_trial_error(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        """Told to the wrapped scheduler; a paused trial's average goes on when the trial does."""
        self.scheduler.on_trial_remove(trial)
