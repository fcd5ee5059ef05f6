"""Draws the learning curves of trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.experiments.comparison import colours
from cloudtune.experiments.comparison.drawn_text import drawn_name
from cloudtune.experiments.comparison.frame import arranged, begin_figure, finish_figure, x_limits
from cloudtune.experiments.comparison.learning_curves import OTHER, PAUSED, STOPPED, TrialCurve, TrialCurves
from cloudtune.experiments.comparison.plot_parameters import PlotParameters, SubplotParameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _VERMILLION, _GREEN = colours.PALETTE[:3]
_GREY = "#A9B1BA"
#: Of each fate: colour and width of the lines, and what the legend says.
_FATES = {
    STOPPED: (_GREY, 0.8, "stopped early"),
    PAUSED: (_GREEN, 0.9, "paused, not resumed"),
    OTHER: (_BLUE, 1.0, "not stopped"),
}
#: By default the vertical axes show the better share of all values: those of trials that diverge lie anywhere.
_SHOWN = 0.95
#: Of what is shown, beyond it; and on the side where the name of the best trial stands.
_MARGIN, _FOR_NAME = 0.05, 0.13
#: Inches of an entry of the legend.
_ENTRY_WIDTH = 1.3


def draw_trials(
    shown: Sequence[TrialCurves], parameters: PlotParameters, names: tuple[str, str], title: str, mode: str
) -> Figure:
    """The figure.

    Args:
        shown: A subplot each.
        parameters: What the figure is drawn with.
        names: What the horizontal and the vertical axes show.
        title: Of all of it.
        mode: ``"min"`` or ``"max"``.
    """
    subplots = parameters.subplots or SubplotParameters()
    figure, axes = begin_figure(*arranged(len(shown), subplots), subplots)
    for one, experiment in zip(axes, shown, strict=False):
        _draw_experiment(one, experiment, parameters.over == "resource", mode)
    own = [f"{drawn_name(one.setup)}: {len(one.curves)} trial{'s' * (len(one.curves) != 1)}" for one in shown]
    given = list(subplots.titles or ())[: len(own)]
    titles = dict(enumerate([*given, *own[len(given) :]]))
    finish_figure(figure, axes, titles, parameters, names, title, parameters.caption or "")
    levels = {level for one in shown for level in one.rung_levels}
    if levels and parameters.over == "resource" and parameters.xscale == "log":
        _mark_rungs(axes, levels)
    limits = _value_range(shown, mode)
    for number, one in enumerate(axes[: len(shown)]):
        if parameters.ylim is not None:
            one.set_ylim(parameters.ylim)
        elif limits is not None and parameters.yscale != "log":
            one.set_ylim(limits)
        xlim = x_limits(parameters, number)
        if xlim is not None:
            one.set_xlim(*xlim)
    _add_legend(figure, axes)
    return figure


def _draw_experiment(axes: Axes, experiment: TrialCurves, over_resource: bool, mode: str) -> None:
    best = [curve for curve in experiment.curves if curve.trial_id == experiment.best]
    for order, (fate, (colour, width, label)) in enumerate(_FATES.items()):
        members = [curve for curve in experiment.curves if curve.fate == fate and curve not in best]
        _draw_lines(axes, members, label, color=colour, linewidth=width, zorder=2 + 0.1 * order)
    stops = [curve.end for curve in experiment.curves if curve.fate == STOPPED]
    _draw_points(axes, stops, "stop", marker="x", color=colours.MUTED, zorder=2.4)
    pauses = [point for curve in experiment.curves for point in curve.pauses]
    _draw_points(axes, pauses, "pause", marker="s", color="white", markeredgecolor=_GREEN, zorder=2.5)
    if over_resource:
        for level in experiment.rung_levels:
            axes.axvline(level, color=colours.INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        if experiment.rung_levels:
            axes.plot([], [], color=colours.INK, linewidth=0.7, linestyle=(0, (1, 2)), label="rung")
    else:
        rungs = [point for curve in experiment.curves for point in curve.rungs]
        _draw_points(axes, rungs, "rung passed", marker="o", color="white", markeredgecolor=colours.INK, zorder=2.5)
    _draw_lines(axes, best, "best trial", color=_VERMILLION, linewidth=2.0, zorder=4)
    if experiment.best_point is not None:
        x, y = experiment.best_point
        axes.plot([x], [y], marker="*", markersize=10, color=_VERMILLION, markeredgecolor="white", zorder=5)
        axes.annotate(
            f"trial {experiment.best}: {y:.4g}",
            (x, y),
            # Beyond the best of all there is nothing that the name could hide.
            xytext=(0, -6 if mode == "min" else 6),
            textcoords="offset points",
            va="top" if mode == "min" else "bottom",
            ha="right" if x > np.mean(axes.get_xlim()) else "left",
            fontsize=8,
            color=colours.readable(_VERMILLION),
            zorder=6,
        )


def _draw_lines(axes: Axes, curves: Iterable[TrialCurve], label: str, **options: Any) -> None:
    """Many curves as one line with gaps: hundreds of lines would take seconds."""
    parts = [(np.append(curve.x, np.nan), np.append(curve.y, np.nan)) for curve in curves]
    if parts:
        x, y = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        axes.plot(x, y, label=label, marker=".", markersize=2.5, **options)


def _draw_points(axes: Axes, points: Sequence[tuple[float, float]], label: str, **options: Any) -> None:
    if points:
        x, y = np.array(points).T
        axes.plot(x, y, label=label, **{"linestyle": "none", "markersize": 3.6, "markeredgewidth": 0.8, **options})


def _add_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(str(label), handle)
    wanted = ["best trial", *(label for _, _, label in _FATES.values()), "stop", "pause", "rung passed", "rung"]
    labels = [label for label in wanted if label in handles]
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=min(len(labels), max(1, int(figure.get_figwidth() / _ENTRY_WIDTH))),
        fontsize=8,
        frameon=False,
    )


def _value_range(shown: Sequence[TrialCurves], mode: str) -> tuple[float, float] | None:
    values = np.concatenate([curve.y for experiment in shown for curve in experiment.curves])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, (0.0, _SHOWN) if mode == "min" else (1 - _SHOWN, 1.0)).tolist()
    if high <= low:
        return None
    margin, for_name = _MARGIN * (high - low), _FOR_NAME * (high - low)
    return (low - for_name, high + margin) if mode == "min" else (low - margin, high + for_name)


def _mark_rungs(axes: Sequence[Axes], levels: set[float]) -> None:
    """Numbers at the rungs of a logarithmic axis, in place of powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    for one in axes:
        one.xaxis.set_major_locator(FixedLocator(sorted(levels)))
        one.xaxis.set_major_formatter(FuncFormatter(lambda level, _: f"{level:g}"))
        one.xaxis.set_minor_locator(NullLocator())
