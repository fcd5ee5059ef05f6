"""The two pictures that the local demo draws of its experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarking.definitions import BenchmarkDefinition

_SIZE = (7.2, 4.0)
_DPI = 110
_DONE = "#0b6e4f"
_STOPPED = "#d1495b"
_FAINT = "#b8bec6"
_INK = "#22272e"


def draw_best_so_far(results: pd.DataFrame, definition: BenchmarkDefinition, path: Path) -> None:
    """Draws every report as a dot, and the best value so far as a line, over the time since the start."""
    figure, axes = _begin()
    ordered = results.sort_values("st_tuner_time")
    times, errors = ordered["st_tuner_time"].to_numpy(float), ordered[definition.metric].to_numpy(float)
    best = np.minimum.accumulate(errors)
    axes.scatter(times, errors, s=9, color=_FAINT, linewidths=0, label="one report", zorder=2)
    axes.step(times, best, where="post", color=_DONE, linewidth=2.2, label="best so far", zorder=3)
    axes.annotate(
        _percent(best[-1]),
        (times[-1], best[-1]),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=_DONE,
        weight="bold",
        annotation_clip=False,
    )
    axes.set_xlim(0, times[-1])
    axes.set_xlabel("seconds of tuning")
    _error_axis(axes, errors)
    trials = results["trial_id"].nunique()
    axes.set_title(f"Best validation error over time, {trials} trials", loc="left", color=_INK, fontsize=11)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    _end(figure, path)


def draw_learning_curves(results: pd.DataFrame, definition: BenchmarkDefinition, path: Path) -> None:
    """Draws the validation error of each trial over its epochs, and marks where ASHA stopped it."""
    figure, axes = _begin()
    last_epoch = definition.max_resource_level
    full = stopped = 0
    best_trial = results["trial_id"].to_numpy()[results[definition.metric].argmin()]
    for trial_id, rows in results.groupby("trial_id"):
        curve = rows.sort_values(definition.resource_attr)
        epochs = curve[definition.resource_attr].to_numpy(float)
        errors = curve[definition.metric].to_numpy(float)
        if trial_id == best_trial:
            axes.plot(epochs, errors, color=_DONE, linewidth=2.2, zorder=4, label=f"the best, trial {best_trial}")
        elif epochs[-1] >= last_epoch:
            axes.plot(epochs, errors, color=_DONE, linewidth=1.0, alpha=0.45, zorder=3)
        else:
            axes.plot(epochs, errors, color=_FAINT, linewidth=0.9, zorder=1)
        if (curve["st_decision"] == "STOP").any() and epochs[-1] < last_epoch:
            stopped += 1
            label = "stopped early" if stopped == 1 else None
            axes.scatter(epochs[-1], errors[-1], s=16, color=_STOPPED, linewidths=0, zorder=5, label=label)
        full += epochs[-1] >= last_epoch
    axes.set_xscale("log", base=definition.reduction_factor)
    rungs = [1.0]
    while rungs[-1] < last_epoch:
        rungs.append(min(rungs[-1] * definition.reduction_factor, last_epoch))
    axes.xaxis.set_major_locator(FixedLocator(rungs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(0.93, last_epoch * 1.07)
    axes.set_xlabel("epochs (the ticks are ASHA's rungs)")
    _error_axis(axes, results[definition.metric].to_numpy(float))
    axes.set_title(
        f"Learning curves: {stopped} trials stopped early, {full} trained to the end",
        loc="left",
        color=_INK,
        fontsize=11,
    )
    axes.legend(frameon=False, loc="lower left")
    _end(figure, path)


def _begin() -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _error_axis(axes: Axes, errors: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    axes.set_yscale("log")
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if tick >= errors.min() * 0.8]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.set_ylim(min(max(errors.min(), 1e-3) * 0.8, ticks[0] if ticks else 0.01), 1.1)
    axes.set_ylabel("validation error")


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _end(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
