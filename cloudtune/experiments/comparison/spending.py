"""What an experiment has spent by each of its reports: seconds, dollars, resource, trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import ST_WORKER_COST, ST_WORKER_ITER, ST_WORKER_TIME, ST_WORKER_TIMESTAMP, TRIAL_ID
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.values import column_of_numbers, holds_numbers

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: Seconds by which the time of day may be set right during a run.
_CLOCKS_DIFFER = 1.0


class NotTold(CloudtuneError):
    """The reports of an experiment do not tell what it has spent.

    Args:
        experiment: Its name.
        why: What they do not tell, as what follows "it".
        remedy: What to do about it.
    """

    def __init__(self, experiment: str, why: str, remedy: str) -> None:
        super().__init__(f"experiment {experiment!r} {why}{remedy}")
        self.why = why


def spent(experiment: ExperimentResult, over: str, resource_attr: str | None = None) -> Floats:
    """What was spent by each report, one after another.

    Args:
        experiment: With reports.
        over: ``"time"``, ``"cost"``, ``"resource"`` or ``"trials"``.
        resource_attr: Column that counts a trial's resource, for ``"resource"``.

    Raises:
        NotTold: The reports do not tell it.
    """
    if over == "time":
        return experiment.times()
    trials = experiment.results[TRIAL_ID].to_numpy()
    if over == "trials":
        return _trials_so_far(trials)
    if over == "cost":
        costs = _column(experiment, ST_WORKER_COST, "instances have a price only where trials are training jobs")
        return _cost_so_far(trials, costs, _runs_of_trials(experiment, trials))
    if resource_attr is None:
        raise NotTold(
            experiment.name,
            "does not tell which of its numbers counts what trials use",
            ": name it with PlotParameters(resource_attr=...), or choose over='trials'",
        )
    return _resource_so_far(trials, _column(experiment, resource_attr, "choose over='trials' instead"))


def _column(experiment: ExperimentResult, name: str, remedy: str) -> Floats:
    results = experiment.results
    if name not in results.columns or not holds_numbers(results[name]):
        raise NotTold(experiment.name, f"has no report that holds a number {name!r}", f"; {remedy}")
    return column_of_numbers(results[name])


def _trials_so_far(trials: np.ndarray[Any, Any]) -> Floats:
    """How many trials have reported, at each report."""
    is_first = np.zeros(len(trials))
    is_first[np.unique(trials, return_index=True)[1]] = 1
    return np.cumsum(is_first)


def _resource_so_far(trials: np.ndarray[Any, Any], levels: Floats) -> Floats:
    """The levels that all trials have reached, in all: what a trial repeats does not count twice."""
    levels = np.where(np.isfinite(levels) & (levels > 0), levels, 0.0)
    order = np.argsort(trials, kind="stable")
    is_first = np.diff(trials[order], prepend=trials[order[0]] - 1) != 0
    # The running maximum of each trial, at once: every trial begins above the greatest level of the one before.
    base = np.cumsum(is_first) * (levels.max() + 1)
    reached = np.maximum.accumulate(levels[order] + base) - base
    return _accumulated(reached, is_first, order)


def _cost_so_far(trials: np.ndarray[Any, Any], costs: Floats, runs: np.ndarray[Any, Any]) -> Floats:
    """Dollars of all trials, in all: what a trial says counts from the start of its run, so runs add up."""
    order = np.lexsort((np.arange(len(trials)), runs, trials))
    is_first = (np.diff(trials[order], prepend=trials[order[0]] - 1) != 0) | (np.diff(runs[order], prepend=-1) != 0)
    known = np.where(np.isfinite(costs[order]), costs[order], 0.0)
    base = np.cumsum(is_first) * (known.max() + 1)
    reached = np.maximum.accumulate(known + base) - base
    return _accumulated(reached, is_first, order)


def _accumulated(reached: Floats, is_first: np.ndarray[Any, Any], order: np.ndarray[Any, Any]) -> Floats:
    """What was added by each report, summed in the order in which the reports came."""
    added = np.empty(len(order))
    added[order] = np.where(is_first, reached, np.diff(reached, prepend=0.0))
    return np.cumsum(added)


def _runs_of_trials(experiment: ExperimentResult, trials: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """For each report, which run of its trial's script it comes from.

    A run numbers its reports from 0, and all of them say the same about when it began. Neither alone would do: the
    first ones of a run are not in the results if they repeat what was known; and old results have no times.
    """
    order = np.argsort(trials, kind="stable")
    numbers, stamps, seconds = (
        experiment.results[name].to_numpy(dtype=float, na_value=np.nan)[order]
        if name in experiment.results.columns
        else np.full(len(trials), np.nan)
        for name in (ST_WORKER_ITER, ST_WORKER_TIMESTAMP, ST_WORKER_TIME)
    )
    begins = (np.diff(numbers) <= 0) | (np.diff(stamps - seconds) > _CLOCKS_DIFFER)
    runs = np.empty(len(trials), dtype=np.intp)
    runs[order] = np.cumsum(np.append(False, begins))
    return runs
