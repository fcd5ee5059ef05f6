"""The best configuration of an experiment so far."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.trial import Config
from cloudtune.tuning_status import TuningStatus


def best_config(status: TuningStatus, names: Sequence[str], metric: str | int, experiment: str) -> tuple[int, Config]:
    """Trial id and configuration of the best value reported so far.

    Args:
        status: Of the experiment.
        names: Its metrics.
        metric: Which of them: its name, or its position.
        experiment: Its name, for messages.

    Raises:
        ValueError: No trial has reported a finite value of the metric yet, or there is no such metric.
    """
    name = names[metric] if isinstance(metric, int) and -len(names) <= metric < len(names) else metric
    if name not in names:
        raise ValueError(f"the scheduler has no metric {metric!r}; use one of {', '.join(names)}")
    best = status.incumbents.get(str(name))
    if best is None:
        raise ValueError(f"experiment '{experiment}' has no result yet: {status.why_no_result()}")
    return best[1], status.records[best[1]].trial.config
