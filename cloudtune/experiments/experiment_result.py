"""What is known of one experiment: its results, its best configuration, and pictures of how it went."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import RESERVED_PREFIX, ST_TUNER_CREATION_TIMESTAMP, ST_TUNER_TIME
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.frames import LazyFrame
from cloudtune.experiments.hypervolume import MAX_LOSSES
from cloudtune.experiments.metadata_form import UnusualMetadata, said_modes, said_names
from cloudtune.experiments.values import column_of_numbers, holds_numbers
from cloudtune.store.results_object import PackedTable
from cloudtune.store.typed_columns import Column

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from cloudtune.tuner import Tuner


class ExperimentResult:
    """The results of one experiment, as :func:`cloudtune.experiments.load_experiment` read them.

    Args:
        name: Name of the experiment.
        results: The table, see :attr:`results`; or what makes it, called when it is first looked at.
        metadata: What ``metadata.json`` holds: the user's own, the names of the metrics, the config space, and so on.
        path: The experiment's folder on this machine. Of an experiment in S3: where it would be continued here.
        tuner: The tuner, if it was asked for.
        place: ``s3://bucket/prefix`` of an experiment in S3; "" where it lies in a folder.
    """

    def __init__(
        self,
        name: str,
        results: pd.DataFrame | Callable[[], pd.DataFrame],
        metadata: dict[str, Any],
        path: Path,
        tuner: Tuner | None = None,
        place: str = "",
    ) -> None:
        self.name = name
        self.metadata = metadata
        self.path = path
        self.tuner = tuner
        self.place = place
        self._results = results
        #: What the table is made of, as long as nobody has put another in its place.
        self._source = results if isinstance(results, LazyFrame) else None

    def __repr__(self) -> str:
        return f"ExperimentResult(name={self.name!r}, path={self.path!r}, place={self.place!r})"

    @property
    def results(self) -> pd.DataFrame:
        """One row for each report that counts, in the order they arrived.

        Columns: ``trial_id``, ``st_decision``, ``st_status``, ``st_tuner_time`` (seconds since the experiment began,
        without the time in which no tuner drove it), the metrics as reported, ``st_worker_*``, and ``config_<name>``
        for the trial's configuration. The table is made when it is first looked at.
        """
        if callable(self._results):
            self._results = self._results()
        return self._results

    @results.setter
    def results(self, results: pd.DataFrame) -> None:
        self._results, self._source = results, None

    def packed_table(self) -> PackedTable:
        """The rows as they were read, without making a data frame of them."""
        if self._source is not None:
            return self._source.table()
        results = self.results
        columns = {str(name): Column.of(results[name].tolist()) for name in results.columns}
        return PackedTable(columns, {}, Column.of([0] * len(results)))

    def creation_date(self) -> datetime:
        """When the experiment was begun (UTC).

        Raises:
            CloudtuneError: Its metadata do not tell.
        """
        try:
            return datetime.fromtimestamp(self.metadata[ST_TUNER_CREATION_TIMESTAMP], tz=timezone.utc)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise CloudtuneError(
                f"the metadata of experiment {self.name!r} do not tell when it was begun; correct its metadata.json"
            ) from error

    def metric_names(self) -> list[str]:
        """The metrics that the experiment optimises.

        Raises:
            CloudtuneError: Its metadata do not tell.
        """
        return self._said(said_names)

    def metric_mode(self) -> str | list[str]:
        """``"min"`` or ``"max"``, for all metrics or one for each.

        Raises:
            CloudtuneError: Its metadata do not tell.
        """
        modes = self._said(said_modes)
        return modes if isinstance(self.metadata["metric_mode"], list) else modes[0]

    def _said(self, by: Callable[[dict[str, Any]], list[str]]) -> list[str]:
        try:
            return by(self.metadata)
        except UnusualMetadata as error:
            raise CloudtuneError(
                f"the metadata of experiment {self.name!r} do not tell what it optimises: {error}; leave it out, or "
                "correct its metadata.json"
            ) from error

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
        metrics: Sequence[str] | None = None,
        reference_point: Sequence[float] | None = None,
        ax: Axes | None = None,
        file_name: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Draws the hypervolume that the results dominate so far, for two to four metrics, over wall-clock time.

        Args:
            metrics: Some of :meth:`metric_names`; all if None.
            reference_point: Corner of the volume, in the units of the metrics; the worst values reported if None.
            ax: See :meth:`plot`.
            file_name: See :meth:`plot`.
            **kwargs: Options of matplotlib's ``Axes.plot``.

        Raises:
            CloudtuneError: There are no results yet, or matplotlib is missing.
            ValueError: The experiment does not optimise such metrics, or there are too few or too many of them.
        """
        from cloudtune.experiments.plots import plot_dominated_area

        chosen = tuple(self.metric_names() if metrics is None else metrics)
        if not 2 <= len(set(chosen)) == len(chosen) <= MAX_LOSSES:
            raise ValueError(
                f"the hypervolume needs two metrics, or up to {MAX_LOSSES}, and experiment {self.name!r} was asked for "
                f"{list(chosen)} of its {self.metric_names()}; name others, or use plot() for a single one"
            )
        if reference_point is not None and len(reference_point) != len(chosen):
            raise ValueError(f"reference_point must hold a number for each of {list(chosen)}, got {reference_point!r}")
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
        return names[index], -1.0 if self._said(said_modes)[index] == "max" else 1.0

    def losses(self, name: str, sign: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The values of a metric, one for each row of the results, as losses: smaller is better, infinity is none.

        What is no finite number counts as none: NaN, texts that do not read as a number, integers beyond all floats.

        Args:
            name: Name of a metric, or of another column that holds numbers.
            sign: The factor that makes smaller values the better ones.

        Raises:
            CloudtuneError: There are no results yet.
            ValueError: There is no such column, or no number in it.
        """
        self._require_numbers(name)
        values = sign * column_of_numbers(self.results[name])
        return np.where(np.isnan(values), np.inf, values)

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
        if name not in self.results.columns or not holds_numbers(self.results[name]):
            numeric = [key for key in self.results.columns if pd.api.types.is_numeric_dtype(self.results[key])]
            raise ValueError(f"no report of experiment {self.name!r} holds a number {name!r}: choose one of {numeric}")
