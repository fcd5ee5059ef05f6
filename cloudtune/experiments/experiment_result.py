"""What is known of one experiment: its results, its best configuration, and pictures of how it went."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import RESERVED_PREFIX, ST_TUNER_CREATION_TIMESTAMP, ST_TUNER_TIME
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from cloudtune.tuner import Tuner


@dataclass
class ExperimentResult:
    """The results of one experiment, as :func:`cloudtune.experiments.load_experiment` read them.

    Args:
        name: Name of the experiment.
        results: One row for each report that counts, in the order they arrived. Columns: ``trial_id``, ``st_decision``,
            ``st_status``, ``st_tuner_time`` (seconds since the experiment began, without the time in which no tuner
            drove it), the metrics as reported, ``st_worker_*``, and ``config_<name>`` for the trial's configuration.
        metadata: What ``metadata.json`` holds: the user's own, the names of the metrics, the config space, and so on.
        path: The experiment's folder on this machine. Of an experiment in S3: where it would be continued here.
        tuner: The tuner, if it was asked for.
        place: ``s3://bucket/prefix`` of an experiment in S3; "" where it lies in a folder.
    """

    name: str
    results: pd.DataFrame = field(repr=False)
    metadata: dict[str, Any] = field(repr=False)
    path: Path
    tuner: Tuner | None = field(default=None, repr=False)
    place: str = ""

    def creation_date(self) -> datetime:
        """When the experiment was begun (UTC)."""
        return datetime.fromtimestamp(self.metadata[ST_TUNER_CREATION_TIMESTAMP], tz=timezone.utc)

    def metric_names(self) -> list[str]:
        """The metrics that the experiment optimises."""
        return list(self.metadata["metric_names"])

    def metric_mode(self) -> str | list[str]:
        """``"min"`` or ``"max"``, for all metrics or one for each."""
        mode: str | list[str] = self.metadata["metric_mode"]
        return mode

    def best_config(self, metric: str | int | None = None) -> dict[str, Any]:
        """The report with the best value: ``trial_id``, its metrics, and ``config_<name>`` for the configuration.

        NaN and infinite values are never the best. Of equally good ones the earliest is taken.

        Args:
            metric: Name or position of one of :meth:`metric_names`; the first if None.

        Raises:
            CloudtuneError: There are no results yet.
            ValueError: The experiment does not optimise ``metric``, or no value of it is a finite number.
        """
        name, sign = self.metric(metric)
        losses = self.losses(name, sign)
        best = int(np.argmin(losses))
        if not np.isfinite(losses[best]):
            raise ValueError(
                f"experiment {self.name!r} has no result yet: no value of {name!r} so far is a finite number; "
                "look in the training script for what makes it infinite or NaN"
            )
        row = {key: self.results[key].iat[best] for key in self.results.columns if not key.startswith(RESERVED_PREFIX)}
        return {key: value.item() if isinstance(value, np.generic) else value for key, value in row.items()}

    def plot(
        self,
        metric: str | int | None = None,
        ax: Axes | None = None,
        file_name: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Draws the best value so far over the wall-clock time of the experiment.

        Args:
            metric: Name or position of one of :meth:`metric_names`; the first if None.
            ax: Draw into these axes; into a new figure if None.
            file_name: Save the figure there (format by suffix) and close it, if it is a new one.
            **kwargs: Options of matplotlib's ``Axes.plot``, such as ``color`` or ``label``.

        Raises:
            CloudtuneError: There are no results yet, or matplotlib is missing.
            ValueError: The experiment does not optimise ``metric``.
        """
        from cloudtune.experiments.plots import plot_best_so_far

        name, sign = self.metric(metric)
        return plot_best_so_far(self, name, sign, ax, file_name, **kwargs)

    def plot_trials_over_time(
        self,
        metric: str | int | None = None,
        ax: Axes | None = None,
        file_name: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Draws a learning curve for each trial over wall-clock time; marks where trials were stopped or paused.

        Args:
            metric: As for :meth:`plot`, or the name of any column of the results that holds numbers.
            ax: See :meth:`plot`.
            file_name: See :meth:`plot`.
            **kwargs: Options of matplotlib's ``Axes.plot``.

        Raises:
            CloudtuneError: There are no results yet, or matplotlib is missing.
            ValueError: There is no such column.
        """
        from cloudtune.experiments.plots import plot_learning_curves

        if isinstance(metric, str) and metric not in self.metric_names():
            self._require_numbers(metric)
            return plot_learning_curves(self, metric, None, ax, file_name, **kwargs)
        name, sign = self.metric(metric)
        return plot_learning_curves(self, name, sign, ax, file_name, **kwargs)

    def plot_hypervolume(
        self,
        metrics: tuple[str, str] | None = None,
        reference_point: tuple[float, float] | None = None,
        ax: Axes | None = None,
        file_name: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Draws the area that the results dominate so far, for two metrics, over wall-clock time.

        Args:
            metrics: Two of :meth:`metric_names`; the first two if None.
            reference_point: Corner of the area, in the units of the metrics; the worst values reported if None.
            ax: See :meth:`plot`.
            file_name: See :meth:`plot`.
            **kwargs: Options of matplotlib's ``Axes.plot``.

        Raises:
            CloudtuneError: There are no results yet, or matplotlib is missing.
            ValueError: The experiment does not optimise two such metrics.
        """
        from cloudtune.experiments.plots import plot_dominated_area

        chosen = tuple(self.metric_names()[:2]) if metrics is None else tuple(metrics)
        if len(set(chosen)) != 2:
            raise ValueError(
                f"the hypervolume needs two metrics, and experiment {self.name!r} was asked for {list(chosen)} of its "
                f"{self.metric_names()}; use plot() for a single one"
            )
        signs = [self.metric(name) for name in chosen]
        return plot_dominated_area(self, signs, reference_point, ax, file_name, **kwargs)

    def metric(self, metric: str | int | None = None) -> tuple[str, float]:
        """Name of a metric, and the factor (1 or -1) that makes smaller values the better ones.

        Args:
            metric: Name or position of one of :meth:`metric_names`; the first if None.

        Raises:
            ValueError: The experiment does not optimise ``metric``.
        """
        names = self.metric_names()
        index = 0 if metric is None else names.index(metric) if metric in names else metric
        if not isinstance(index, int) or not 0 <= index < len(names):
            raise ValueError(
                f"experiment {self.name!r} does not optimise {metric!r}: choose one of its metrics {names}"
            )
        mode = self.metric_mode()
        return names[index], -1.0 if (mode if isinstance(mode, str) else mode[index]) == "max" else 1.0

    def losses(self, name: str, sign: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The values of a metric, one for each row of the results, as losses: smaller is better, infinity is none.

        Args:
            name: Name of a metric, or of another column that holds numbers.
            sign: The factor that makes smaller values the better ones.

        Raises:
            CloudtuneError: There are no results yet.
        """
        self._require_numbers(name)
        values = sign * self.results[name].to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.inf)

    def times(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Wall-clock time of each row of the results, in seconds since the experiment began."""
        return self.results[ST_TUNER_TIME].to_numpy(dtype=float)

    def _require_numbers(self, name: str) -> None:
        import pandas as pd

        if self.results.empty:
            raise CloudtuneError(
                f"experiment {self.name!r} has no results yet: wait until a trial has reported {name!r}, or look at "
                + (
                    f"`cloudtune logs {self.place.rstrip('/')} TRIAL`"
                    if self.place
                    else f"the output of the trials in {self.path}"
                )
            )
        if name not in self.results.columns or not pd.api.types.is_numeric_dtype(self.results[name]):
            numeric = [key for key in self.results.columns if pd.api.types.is_numeric_dtype(self.results[key])]
            raise ValueError(f"no report of experiment {self.name!r} holds a number {name!r}: choose one of {numeric}")
