"""What the best configurations are worth that were run again on new random seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from cloudtune.constants import TRIAL_ID
from cloudtune.experiments.comparison.student_t import two_sided_quantile
from cloudtune.experiments.quantities import NOTHING, number
from cloudtune.experiments.report.markup import Html, joined, tag
from cloudtune.experiments.report.overview import link
from cloudtune.experiments.report.study import ReportedExperiment
from cloudtune.experiments.report.table import count, quantity, table
from cloudtune.experiments.values import as_number

_CONFIDENCE = 0.95
#: Of metadata: the trial that was run again, and what it had reported.
_TRIAL, _VALUE = "rerun_trial", "rerun_value"


def reruns_section(experiments: Sequence[ReportedExperiment]) -> Html | None:
    """A row for each configuration that was run again; nothing where none was."""
    rows = [_row(one, index) for index, one in enumerate(experiments) if one.repeats]
    if not rows:
        return None
    columns = ("run again", "of", "trial", "metric", "in the study", "runs", "mean", "lower", "upper")
    return joined(
        tag("h3", "Best configurations on new random seeds"),
        tag("p", "The value that a study has found is the best of many, and so looks better than it is. A run counts "
            "with its best value, once it was trained to its end."),
        table("Mean and 95 % interval of the mean by Student's t", columns, rows),
    )  # fmt: skip


def _row(experiment: ReportedExperiment, index: int) -> list[object]:
    metadata = experiment.result.metadata
    values = list(_values(experiment))
    mean = statistics.fmean(values) if values else None
    half = None
    if len(values) > 1:
        half = two_sided_quantile(_CONFIDENCE, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    ends = [None, None] if mean is None or half is None else [mean - half, mean + half]
    before = as_number(metadata.get(_VALUE))
    return [
        link(experiment, index),
        experiment.repeats,
        str(metadata.get(_TRIAL, NOTHING)),
        experiment.metrics[0].name if experiment.metrics else NOTHING,
        quantity(before, number(before)),
        count(len(values)),
        *(quantity(value, number(value)) for value in (mean, *ends)),
    ]


def _values(experiment: ReportedExperiment) -> Iterator[float]:
    """The best value of each run that was trained to its end."""
    if not experiment.metrics:
        return
    metric = experiment.metrics[0]
    losses = metric.sign * experiment.values(metric.name)
    trials = experiment.result.results[TRIAL_ID].to_numpy(dtype=int)
    for trial in experiment.trials:
        of_trial = losses[trials == trial.trial_id]
        if trial.status == "Completed" and np.isfinite(of_trial).any():
            yield float(metric.sign * np.nanmin(of_trial))
