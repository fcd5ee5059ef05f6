"""Prints how an experiment goes in lines from which SageMaker's console draws curves."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.constants import TUNE_METRIC_TAG

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner
    from cloudtune.tuning_status import TuningStatus

_TRIALS_STARTED, _TRIALS_FINISHED, _TRIALS_RUNNING = "trials_started", "trials_finished", "trials_running"
_COST = "cost"


def metric_names(tuner: Tuner) -> list[str]:
    """Names of all that a :class:`ConsoleMetrics` of this tuner prints."""
    best = [_best(name) for name in tuner.scheduler.metric_names()]
    return [*best, _TRIALS_STARTED, _TRIALS_FINISHED, _TRIALS_RUNNING, _COST]


class ConsoleMetrics(TunerCallback):
    """Prints best values, numbers of trials and the cost, each time with the prefix that reports of trials have.

    SageMaker reads `metrics from a job's log <https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html>`_
    by the job's metric definitions; see ``cloudtune.aws.console_metrics``.

    Args:
        interval: Seconds between two lines.
        out: Where to.
    """

    def __init__(self, interval: float = 30.0, out: TextIO | None = None) -> None:
        self.interval = interval
        self._out = out
        self._tuner: Tuner | None = None
        self._next = 0.0
        self._last = ""

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._tuner = tuner
        self._next = tuner.trial_backend.wall_time() + self.interval

    def next_time(self) -> float | None:
        return self._next

    def on_time(self, now: float, status: TuningStatus) -> None:
        self._next = now + self.interval
        self._print(status)

    def on_tuning_end(self) -> None:
        tuner, self._tuner = self._tuner, None
        if tuner is not None:
            self._print(tuner.status)

    def _print(self, status: TuningStatus) -> None:
        line = json.dumps(values_of(status), separators=(",", ":"))
        if line != self._last:
            self._last = line
            out = self._out or sys.stdout
            out.write(f"{TUNE_METRIC_TAG}{line}\n")
            out.flush()


def values_of(status: TuningStatus) -> dict[str, Any]:
    """What one line says."""
    values: dict[str, Any] = {_best(name): best[0] for name, best in status.incumbents.items()}
    values[_TRIALS_STARTED] = status.num_trials_started
    values[_TRIALS_FINISHED] = status.num_trials_finished
    values[_TRIALS_RUNNING] = len(status.running)
    if status.cost:
        values[_COST] = round(status.cost, 4)
    return values


def _best(metric: str) -> str:
    return f"best_{metric}"
