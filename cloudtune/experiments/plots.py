"""Pictures of one experiment. matplotlib is imported when one is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import ST_DECISION, TRIAL_ID
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.hypervolume import dominated_volumes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from cloudtune.experiments.experiment_result import ExperimentResult

_TIME_LABEL = "wall-clock time [s]"
# How a trial's last report is marked if the scheduler ended the trial there.
_ENDS = {"STOP": ("x", "stopped early"), "PAUSE": ("s", "paused")}


def plot_best_so_far(
    experiment: ExperimentResult,
    metric: str,
    sign: float,
    ax: Axes | None,
    file_name: str | os.PathLike[str] | None,
    **kwargs: Any,
) -> Axes:
    """See :meth:`ExperimentResult.plot`."""
    losses, times = experiment.losses(metric, sign), experiment.times()
    best = np.minimum.accumulate(losses)
    ax = _axes(ax)
    # Only the points where it falls, and the end: thousands of equal ones would make a large file of the same picture.
    falls = best < np.append(np.inf, best[:-1])
    x = np.append(times[falls], times.max())
    y = sign * np.append(best[falls], best[-1])
    ax.plot(x, y, **{"drawstyle": "steps-post", "linewidth": 2, **kwargs})
    ax.set_ylabel(f"best {metric} so far")
    return _finished(experiment, ax, file_name)


def plot_learning_curves(
    experiment: ExperimentResult,
    metric: str,
    sign: float | None,
    ax: Axes | None,
    file_name: str | os.PathLike[str] | None,
    **kwargs: Any,
) -> Axes:
    """See :meth:`ExperimentResult.plot_trials_over_time`. With a ``sign``, the best trial stands out."""
    losses, times = experiment.losses(metric, sign or 1.0), experiment.times()
    values = np.where(np.isfinite(losses), losses * (sign or 1.0), np.nan)
    trials = experiment.results[TRIAL_ID].to_numpy()
    decisions = experiment.results[ST_DECISION].to_numpy()
    best_trial = trials[np.argmin(losses)] if sign is not None and np.isfinite(losses).any() else None
    ax = _axes(ax)
    ends: dict[str, list[int]] = {decision: [] for decision in _ENDS}
    order = np.argsort(trials, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(trials[order])) + 1):
        is_best = trials[rows[0]] == best_trial
        style = {"linewidth": 2.2, "alpha": 1.0, "zorder": 3, "label": f"trial {best_trial} (best)"} if is_best else {}
        ax.plot(
            times[rows],
            values[rows],
            **{"marker": ".", "markersize": 5, "linewidth": 1, "alpha": 0.7, **style, **kwargs},
        )
        if decisions[rows[-1]] in ends:
            ends[decisions[rows[-1]]].append(rows[-1])
    for decision, (marker, label) in _ENDS.items():
        last = ends[decision]
        if last:
            ax.plot(times[last], values[last], marker, color="0.25", markersize=5, zorder=4, label=label)
    if ax.get_legend_handles_labels()[0]:
        ax.legend()
    ax.set_ylabel(metric)
    return _finished(experiment, ax, file_name)


def plot_dominated_area(
    experiment: ExperimentResult,
    metrics: list[tuple[str, float]],
    reference_point: Sequence[float] | None,
    ax: Axes | None,
    file_name: str | os.PathLike[str] | None,
    **kwargs: Any,
) -> Axes:
    """See :meth:`ExperimentResult.plot_hypervolume`."""
    losses = np.stack([experiment.losses(name, sign) for name, sign in metrics], axis=1)
    finite = np.isfinite(losses).all(axis=1)
    if not finite.any():
        raise CloudtuneError(
            f"no report of experiment {experiment.name!r} holds finite values of all of "
            f"{', '.join(repr(name) for name, _ in metrics)}: report them in one call"
        )
    if reference_point is None:
        reference = losses[finite].max(axis=0).tolist()
    else:
        reference = [corner * sign for corner, (_, sign) in zip(reference_point, metrics, strict=True)]
    ax = _axes(ax)
    volumes = dominated_volumes(losses[finite].tolist(), reference)
    ax.plot(experiment.times()[finite], volumes, **{"drawstyle": "steps-post", "linewidth": 2, **kwargs})
    ax.set_ylabel(f"hypervolume of {', '.join(name for name, _ in metrics)}")
    return _finished(experiment, ax, file_name)


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise CloudtuneError("drawing needs matplotlib: pip install 'cloudtune[plot]'") from error
    return plt.subplots(layout="constrained")[1]


def _finished(experiment: ExperimentResult, ax: Axes, file_name: str | os.PathLike[str] | None) -> Axes:
    ax.set_xlabel(_TIME_LABEL)
    ax.set_title(experiment.name)
    ax.grid(alpha=0.3)
    if file_name is not None:
        _save(ax.figure, file_name)
    return ax


def _save(figure: Figure | SubFigure, file_name: str | os.PathLike[str]) -> None:
    import matplotlib.pyplot as plt

    # The axes may stand in a part of a figure; the canvas belongs to the whole.
    whole = figure.canvas.figure
    whole.savefig(file_name, dpi=120)
    plt.close(whole)
