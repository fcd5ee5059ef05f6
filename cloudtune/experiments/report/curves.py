"""The data from which the page draws the curves of one experiment.

JSON with these members::

    metrics    [[name, mode], ...], the first by which the best trial is chosen
    resource   key of the reports that counts what a trial has used, or null
    rungs      levels of the resource at which trials are compared
    config     names of the hyperparameters that differ between trials
    trials     [[id, status, reports, best value, cost, [values of config]], ...]
    curves     [[index in trials, last decision, [time], [resource], [[value] of each metric], [points at which it was
               paused and has gone on]], ...]
    best       for each metric [[time], [value]]: where the best value so far changes, and the end
    left_out   [points, trials] for which the page had no room
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudtune.constants import ST_DECISION, ST_TUNER_TIME, TRIAL_ID
from cloudtune.experiments.report.study import Metric, ReportedExperiment, ReportedTrial, Values
from cloudtune.experiments.report.thinning import Indices, thinned
from cloudtune.experiments.values import as_number
from cloudtune.status_table import format_value, printable

#: More metrics than these are not drawn.
_MAX_METRICS = 6
#: Pauses of a trial that are marked: there is one at each rung.
_MAX_PAUSES = 10
#: Points of a curve of best values.
_MAX_BEST = 400


@dataclass(frozen=True)
class Detail:
    """How much of an experiment is drawn.

    Args:
        points: Of each learning curve at most.
        trials: At most: the best ones.
    """

    points: int
    trials: int


#: From everything to what still shows how it went.
DETAILS = (
    Detail(5000, 20_000),
    Detail(500, 5000),
    Detail(200, 2000),
    Detail(100, 1000),
    Detail(50, 500),
    Detail(24, 300),
    Detail(12, 150),
    Detail(8, 60),
    Detail(6, 20),
    Detail(4, 5),
    Detail(2, 1),
)


def experiment_data(experiment: ReportedExperiment, detail: Detail) -> dict[str, Any]:
    """What the page draws of an experiment; see above."""
    metrics = experiment.metrics[:_MAX_METRICS]
    values = [experiment.values(metric.name) for metric in metrics]
    rows = _rows_of_trials(experiment)
    shown = _shown_trials(experiment, rows, metrics, values, detail.trials)
    names = _differing(shown)
    curves, left_out = _curves(experiment, shown, rows, values, detail.points)
    return {
        "metrics": [[printable(metric.name), metric.mode] for metric in metrics],
        "resource": _resource(experiment),
        "rungs": _rungs(experiment),
        "config": [printable(name) for name in names],
        "trials": [
            [
                trial.trial_id,
                trial.status,
                len(rows.get(trial.trial_id, ())),
                _best_of(rows.get(trial.trial_id), metrics, values),
                _short(trial.cost) if trial.cost else None,
                [_shown_value(trial.config, name) for name in names],
            ]
            for trial in shown
        ],
        "curves": curves,
        "best": [list(_best_so_far(experiment, metric, of)) for metric, of in zip(metrics, values, strict=True)],
        "left_out": [left_out, len(experiment.trials) - len(shown)],
    }


def _rows_of_trials(experiment: ReportedExperiment) -> dict[int, Indices]:
    trials = experiment.result.results[TRIAL_ID].to_numpy(dtype=int)
    if not len(trials):
        return {}
    order = np.argsort(trials, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(trials[order])) + 1)
    return {int(trials[rows[0]]): rows for rows in groups}


def _shown_trials(
    experiment: ReportedExperiment,
    rows: dict[int, Indices],
    metrics: Sequence[Metric],
    values: Sequence[Values],
    most: int,
) -> list[ReportedTrial]:
    if len(experiment.trials) <= most:
        return list(experiment.trials)

    def rank(trial: ReportedTrial) -> float:
        best = _best_of(rows.get(trial.trial_id), metrics, values)
        return float("inf") if best is None else metrics[0].sign * best

    return sorted(sorted(experiment.trials, key=rank)[:most], key=lambda trial: trial.trial_id)


def _best_of(rows: Indices | None, metrics: Sequence[Metric], values: Sequence[Values]) -> float | None:
    if rows is None or not metrics:
        return None
    losses = metrics[0].sign * values[0][rows]
    return None if np.isnan(losses).all() else _short(metrics[0].sign * float(np.nanmin(losses)))


def _curves(
    experiment: ReportedExperiment,
    shown: Sequence[ReportedTrial],
    rows: dict[int, Indices],
    values: Sequence[Values],
    most: int,
) -> tuple[list[Any], int]:
    results = experiment.result.results
    times = experiment.values(ST_TUNER_TIME)
    decisions = results[ST_DECISION].to_numpy()
    resource = _resource(experiment)
    levels = None if resource is None else experiment.values(resource)
    curves: list[Any] = []
    drawn = 0
    for index, trial in enumerate(shown):
        of_trial = rows.get(trial.trial_id)
        if of_trial is None:
            continue
        leading = values[0][of_trial] if values else times[of_trial]
        pauses = np.flatnonzero(decisions[of_trial[:-1]] == "PAUSE")[:_MAX_PAUSES]
        kept = np.union1d(thinned(leading, most), pauses)
        points = of_trial[kept]
        drawn += len(points)
        curves.append(
            [
                index,
                str(decisions[of_trial[-1]]),
                numbers(times[points], 3),
                None if levels is None else numbers(levels[points]),
                [numbers(of[points]) for of in values],
                np.searchsorted(kept, pauses).tolist(),
            ]
        )
    return curves, len(results) - drawn


def _best_so_far(experiment: ReportedExperiment, metric: Metric, values: Values) -> Iterator[list[float | None]]:
    losses = metric.sign * np.where(np.isnan(values), np.inf if metric.sign > 0 else -np.inf, values)
    if not np.isfinite(losses).any():
        yield from ([], [])
        return
    times = experiment.values(ST_TUNER_TIME)
    best = np.minimum.accumulate(losses)
    falls = np.flatnonzero(best < np.append(np.inf, best[:-1]))
    falls = falls[thinned(best[falls], _MAX_BEST)]
    end = np.nanmax(np.append(times, experiment.seconds))
    yield numbers(np.append(times[falls], end), 3)
    yield numbers(metric.sign * np.append(best[falls], best[-1]))


def _resource(experiment: ReportedExperiment) -> str | None:
    name = experiment.result.metadata.get("resource_attr")
    return name if isinstance(name, str) and name in experiment.result.results.columns else None


def _rungs(experiment: ReportedExperiment) -> list[float]:
    levels = experiment.result.metadata.get("rung_levels")
    return [level for level in map(as_number, levels) if level is not None] if isinstance(levels, list) else []


def _differing(trials: Sequence[ReportedTrial]) -> list[str]:
    """Names of what is not the same in all configurations; of everything, if there is only one."""
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    if len(trials) < 2:
        return list(names)
    return [name for name in names if len({_key(trial.config, name) for trial in trials}) > 1]


def _key(config: dict[str, Any], name: str) -> str:
    return json.dumps(config[name], sort_keys=True, default=str) if name in config else ""


def _shown_value(config: dict[str, Any], name: str) -> Any:
    if name not in config:
        return None
    number = as_number(config[name])
    return format_value(config[name]) if number is None else _short(number)


def numbers(values: Values, decimals: int | None = None) -> list[float | None]:
    """Numbers with six digits that count: more of them nobody sees. NaN is None."""
    if decimals is not None:
        values = np.round(values, decimals)
    return [None if value != value else _short(value) for value in values.tolist()]


def _short(value: float) -> float:
    """Six digits that count: more of them nobody sees."""
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
