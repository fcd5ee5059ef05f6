"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cloudtune.constants import ST_TUNER_CREATION_TIMESTAMP, TRIAL_ID
from cloudtune.experiments.metadata_form import UnusualMetadata, said_modes, said_names
from cloudtune.experiments.values import as_number, column_of_numbers
from cloudtune.trial import Config

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult

#: Of metadata: an experiment that runs one configuration again.
_RERUN = "rerun_of"

Values = np.ndarray[Any, np.dtype[np.float64]]


class Metric(NamedTuple):
    """A metric that an experiment optimises.

    Args:
        name: Its name.
        mode: ``"min"`` or ``"max"``.
    """

    name: str
    mode: str

    @property
    def sign(self) -> float:
        """The factor that makes smaller values the better ones."""
        return -1.0 if self.mode == "max" else 1.0


class Best(NamedTuple):
    """The best value of a metric.

    Args:
        metric: Of which metric.
        value: What was reported.
        trial_id: By which trial.
        row: In which row of the results.
    """

    metric: Metric
    value: float
    trial_id: int
    row: int


@dataclass(frozen=True)
class ReportedTrial:
    """A trial, as the log tells it.

    Args:
        trial_id: Its number.
        status: ``Completed``, ``Failed``, ...
        config: Of its newest attempt.
        cost: US dollars.
        reason: Why it failed, and the last lines it wrote; "" if it did not fail.
    """

    trial_id: int
    status: str
    config: Config = field(repr=False)
    cost: float = 0.0
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False)
class ReportedExperiment:
    """An experiment, and how it stands.

    What its metadata do not say, since it is of an older version or has just begun, is taken as not known.

    Args:
        result: Its reports and metadata.
        state: ``running``, ``finished``, ``failed``, ``interrupted`` or ``unfinished``.
        why: Why its tuner ended, or "".
        trials: All of them, those without reports too.
        seconds: Active tuning time.
        cost: US dollars for its trials; None where that is not known.
        tuner_cost: US dollars for its tuner; None where that is not known.
        damage: What of its log is lost; "" if nothing is.
    """

    result: ExperimentResult
    state: str
    why: str = ""
    trials: Sequence[ReportedTrial] = field(default=(), repr=False)
    seconds: float = 0.0
    cost: float | None = None
    tuner_cost: float | None = None
    damage: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.result.name

    @property
    def benchmark(self) -> str:
        """What was tuned: the benchmark's name, else the training script's or function's."""
        return self._said("benchmark", "entrypoint")

    @property
    def method(self) -> str:
        """What chose the configurations."""
        return self._said("method", "scheduler_name")

    @property
    def n_workers(self) -> int | None:
        """Trials at the same time."""
        number = as_number(self.result.metadata.get("n_workers"))
        return None if number is None else int(number)

    @property
    def seed(self) -> Any:
        """Number of the repetition, else the method's random seed; None where neither is known."""
        metadata = self.result.metadata
        return metadata.get("seed", metadata.get("random_seed"))

    @property
    def created(self) -> float | None:
        """When it was begun, in Unix seconds."""
        return as_number(self.result.metadata.get(ST_TUNER_CREATION_TIMESTAMP))

    @property
    def repeats(self) -> str:
        """The experiment of which it runs the best configuration again, on other seeds; "" if it tunes."""
        return self._said(_RERUN)

    @property
    def total_cost(self) -> float | None:
        """US dollars for trials and tuner, as far as known; None where nothing is."""
        known = [cost for cost in (self.cost, self.tuner_cost) if cost is not None]
        return sum(known) if known else None

    @cached_property
    def metrics(self) -> list[Metric]:
        """What it optimises, the first by which the best trial is chosen; nothing if its metadata do not tell."""
        metadata = self.result.metadata
        try:
            return [Metric(*one) for one in zip(said_names(metadata), said_modes(metadata), strict=True)]
        except UnusualMetadata:
            return []

    def values(self, name: str) -> Values:
        """A column of the results as numbers, one for each row; NaN where it holds none that is finite."""
        results = self.result.results
        if name not in results.columns:
            return np.full(len(results), np.nan)
        return column_of_numbers(results[name])

    def best(self, metric: Metric) -> Best | None:
        """The best value that was reported of a metric, the earliest of equal ones; None while there is none."""
        losses = metric.sign * self.values(metric.name)
        if not np.isfinite(losses).any():
            return None
        row = int(np.nanargmin(losses))
        trial = int(self.result.results[TRIAL_ID].to_numpy(dtype=int)[row])
        return Best(metric, float(metric.sign * losses[row]), trial, row)

    def count(self, *statuses: str) -> int:
        """How many trials have one of these statuses."""
        return sum(trial.status in statuses for trial in self.trials)

    def _said(self, *keys: str) -> str:
        metadata = self.result.metadata
        return next((str(metadata[key]) for key in keys if metadata.get(key)), "")


@dataclass(frozen=True)
class ReportedStudy:
    """A study, as a report shows it.

    Args:
        name: Its tag, or what else it was asked for by.
        experiments: In the order in which they are shown.
        made: When the report was made, in Unix seconds.
        place: Where the experiments lie, as the rest of a sentence: ``in s3://...``.
        plans: What was launched, each as :func:`cloudtune.studies.launched_plan.launched_plan` has written it; empty if
            nothing was.
        waiting: Experiments that were launched and have no results yet: name -> state.
        commands: What launches the study again, a line each.
        place_flags: Flags of commands, by name, that say where it lies in S3; empty if it does not.
        notes: What could not be looked at, in sentences.
    """

    name: str
    experiments: Sequence[ReportedExperiment]
    made: float
    place: str = ""
    plans: Sequence[Mapping[str, Any]] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    place_flags: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
