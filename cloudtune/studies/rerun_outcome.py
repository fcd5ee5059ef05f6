"""What a configuration is worth: mean, standard deviation and interval over random seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import CONFIG_PREFIX, TRIAL_ID
from cloudtune.experiments.comparison.student_t import two_sided_quantile

if TYPE_CHECKING:
    import pandas as pd

    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.studies.benchmark import BenchmarkDefinition
    from cloudtune.studies.rerun import Rerun

CONFIDENCE = 0.95


def summary(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, standard deviation of one run (n - 1 in the denominator), and the interval of the mean by Student's t.

    Two runs at least are needed for an interval, and finite numbers for anything: what cannot be said is None.

    Args:
        values: One for each run; None where it has no finite one.
    """
    known = [value for value in values if value is not None]
    several = len(known) > 1
    mean = statistics.fmean(known) if known else None
    deviation = statistics.stdev(known) if several else None
    interval = None
    if mean is not None and deviation is not None:
        half = two_sided_quantile(CONFIDENCE, len(known) - 1) * deviation / math.sqrt(len(known))
        interval = [mean - half, mean + half]
    return {"mean": mean, "std": deviation, "interval": interval, "runs": len(known)}


def finished(experiment: ExperimentResult, benchmark: BenchmarkDefinition) -> list[int]:
    """Numbers of the trials that were trained to their end, in the order in which they began."""
    results = experiment.results
    if results.empty:
        return []
    reached = results.groupby(TRIAL_ID)[benchmark.resource_attr].max()
    return sorted(int(trial) for trial in reached.index[reached >= benchmark.max_resource_level])


def no_outcome(rerun: Rerun) -> dict[str, Any]:
    """What is known of a rerun that has not begun, in the form of :func:`outcome_of`."""
    return _outcome(rerun, [])


def outcome_of(rerun: Rerun, experiment: ExperimentResult) -> dict[str, Any]:
    """What is known of a rerun so far, as JSON values.

    ``best`` is over the epochs of each run, as what the study has compared; ``last`` is after the last epoch, which is
    what one gets who trains for so long. Runs that have not come to their end do not count.

    Args:
        rerun: Which.
        experiment: Its results.
    """
    trials = finished(experiment, rerun.benchmark)[: rerun.num_seeds]
    return _outcome(rerun, [_run(experiment.results, trial, rerun.benchmark, rerun.winner.metric) for trial in trials])


def _outcome(rerun: Rerun, runs: list[dict[str, Any]]) -> dict[str, Any]:
    winner = rerun.winner
    return {
        "name": rerun.name,
        "benchmark": winner.benchmark,
        "metric": winner.metric,
        "mode": winner.mode,
        "study": {
            "experiment": winner.experiment,
            "method": winner.method,
            "trial_id": winner.trial_id,
            "value": winner.value,
        },
        "config": rerun.config,
        "num_seeds": rerun.num_seeds,
        "best": summary([run["best"] for run in runs]),
        "last": summary([run["last"] for run in runs]),
        "runs": runs,
    }


def _run(results: pd.DataFrame, trial: int, benchmark: BenchmarkDefinition, metric: str) -> dict[str, Any]:
    rows = results[results[TRIAL_ID] == trial]
    values = rows[metric].to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    pick = np.min if benchmark.mode == "min" else np.max
    last = float(values[int(rows[benchmark.resource_attr].to_numpy().argmax())])
    return {
        "trial_id": trial,
        "seed": int(rows[f"{CONFIG_PREFIX}{benchmark.seed_attr}"].iloc[0]),
        "best": float(pick(finite)) if len(finite) else None,
        "last": last if math.isfinite(last) else None,
    }
