"""Draws a comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison import colours
from cloudtune.experiments.comparison.comparison import Comparison, Curve, Floats, Panel
from cloudtune.experiments.comparison.drawn_text import LONGEST_TITLE, drawn_name, drawn_names, shrink
from cloudtune.experiments.comparison.frame import arranged, begin_figure, finish_figure, value_range, x_limits
from cloudtune.experiments.comparison.labels import End, label_ends, may_fit, settle
from cloudtune.experiments.comparison.plot_parameters import PlotParameters, SubplotParameters
from cloudtune.experiments.comparison.saving import check_file_name, save

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

#: More names than this make a legend beside the figure.
_MANY = 8
_LEGEND_WIDTH = 1.6
#: Inches of it beside the names, and of one of their letters.
_LEGEND_LINE, _LETTER = 0.6, 0.068
#: Of the width of a subplot, what a legend in it may have.
_LEGEND_SHARE = 0.8
#: Markers on a curve.
_NUM_MARKERS = 5


def draw_comparison(comparison: Comparison, file_name: str | os.PathLike[str] | None = None) -> Figure:
    """Draws a comparison; saves it by the suffix of the file name (png, svg, pdf), if there is one.

    No state of matplotlib or pyplot is changed by this.

    Raises:
        CloudtuneError: matplotlib is missing, the file name has another suffix, or there are too few subplots.
    """
    path = None if file_name is None else check_file_name(file_name)
    figure = _ComparisonFigure(comparison).drawn()
    if path is not None:
        save(figure, path, comparison.parameters.dpi or 200)
    return figure


class _ComparisonFigure:
    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._parameters: PlotParameters = comparison.parameters
        self._subplots = comparison.parameters.subplots or SubplotParameters()
        self._rows, self._columns = self._shape()
        setups = dict.fromkeys(curve.setup for panel in comparison.subplots for curve in panel.curves)
        self._names = drawn_names(setups)
        self._styles = {setup: colours.style(number) for number, setup in enumerate(setups)}

    def drawn(self) -> Figure:
        figure, axes = begin_figure(self._rows, self._columns, self._subplots)
        for panel in self._comparison.subplots:
            self._draw_panel(axes[panel.index], panel)
        comparison = self._comparison
        parameters = self._parameters
        titled = self._subplots.titles is not None
        finish_figure(
            figure,
            axes,
            {one.index: one.title if titled else drawn_name(one.title) for one in comparison.subplots},
            parameters,
            (
                parameters.xlabel or drawn_name(comparison.xlabel, LONGEST_TITLE),
                parameters.ylabel or drawn_name(comparison.ylabel, LONGEST_TITLE),
            ),
            drawn_name(comparison.benchmark or "", LONGEST_TITLE) if parameters.title is None else parameters.title,
            self._caption(),
        )
        self._set_limits(axes)
        self._name_curves(figure, axes)
        return figure

    def _shape(self) -> tuple[int, int]:
        needed = max(panel.index for panel in self._comparison.subplots) + 1
        return arranged(needed, self._subplots)

    # ------------------------------------------------------------------ curves

    def _draw_panel(self, axes: Axes, panel: Panel) -> None:
        for curve in panel.curves:
            self._draw_curve(axes, curve)

    def _draw_curve(self, axes: Axes, curve: Curve) -> None:
        look = self._styles[curve.setup]
        axes.fill_between(
            curve.x, curve.lower, curve.upper, step="post", color=look.colour, alpha=0.16, linewidth=0, zorder=2
        )
        begin, end = full_part(curve)
        options: dict[str, Any] = {
            "drawstyle": "steps-post",
            "color": look.colour,
            "linestyle": look.dashes,
            "solid_capstyle": "butt",
        }
        axes.plot(
            curve.x[begin : end + 1],
            curve.centre[begin : end + 1],
            linewidth=1.9,
            label=self._names[curve.setup],
            marker=look.marker,
            markersize=4.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            markevery=_marked(curve.x[begin : end + 1], len(self._styles), list(self._styles).index(curve.setup)),
            zorder=4,
            **options,
        )
        for part in (slice(0, begin + 1), slice(end, None)):
            if len(curve.x[part]) > 1:
                axes.plot(curve.x[part], curve.centre[part], linewidth=0.8, label="_thin", zorder=3, **options)

    # ------------------------------------------------------------------ axes

    def _set_limits(self, axes: Sequence[Axes]) -> None:
        parameters, panels = self._parameters, self._comparison.subplots
        share = (self._subplots.kwargs or {}).get("sharey", "all")
        mode, log = self._comparison.mode, parameters.yscale == "log"
        together = value_range([curve for panel in panels for curve in panel.curves], mode, log)
        for panel in panels:
            one = axes[panel.index]
            own = together if share in {True, "all"} else value_range(panel.curves, mode, log)
            if parameters.ylim is not None:
                one.set_ylim(parameters.ylim)
            elif own is not None:
                one.set_ylim(own)
            xlim = x_limits(parameters, panel.index)
            if xlim is not None:
                one.set_xlim(*xlim)
            elif parameters.xscale == "linear":
                one.margins(x=0)
                one.set_xlim(left=0)

    def _caption(self) -> str:
        """The comparison's, and what thin lines are if there are any."""
        caption, curves = self._comparison.caption, [one for panel in self._comparison.subplots for one in panel.curves]
        if not caption or self._parameters.caption is not None:
            return caption
        some = any((curve.counts < len(curve.runs)).any() for curve in curves)
        carried = any(curve.x[-1] > curve.seen_until for curve in curves)
        parts = [what for what, there in (("not all runs have a value", some), ("all have ended", carried)) if there]
        return f"{caption}. Thin where {' or '.join(parts)}" if parts else caption

    # ------------------------------------------------------------------ names of curves

    def _name_curves(self, figure: Figure, axes: Sequence[Axes]) -> None:
        wanted = self._subplots.legend_no
        if wanted is not None:
            for number in [wanted] if isinstance(wanted, int) else wanted:
                if not 0 <= number < len(axes):
                    raise CloudtuneError(
                        f"legend_no={wanted!r} names subplot {number}; choose from 0 to {len(axes) - 1}"
                    )
                self._add_legend(axes[number])
            return
        if len(self._styles) > _MANY:
            self._add_figure_legend(figure, axes)
            return
        named = [panel for panel in self._comparison.subplots if self._is_named(panel)]
        ends = {panel.index: self._ends(axes[panel.index], panel) for panel in named}
        labels = {index: label_ends(axes[index], of_panel) for index, of_panel in ends.items()}
        room = figure.bbox.width / self._columns
        for index in [index for index, of_panel in labels.items() if not may_fit(of_panel, room)]:
            self._name_in_legend(axes[index], labels.pop(index))
        # The labels take room from the axes: only then it is known where curves end on the page.
        figure.draw_without_rendering()
        for index, of_panel in labels.items():
            if not settle(axes[index], of_panel, ends[index]):
                self._name_in_legend(axes[index], of_panel)

    def _name_in_legend(self, axes: Axes, labels: Sequence[Annotation]) -> None:
        for label in labels:
            label.remove()
        self._add_legend(axes)

    def _is_named(self, panel: Panel) -> bool:
        """Whether its curves are named in this panel: in all if they are wide, else in the last one of a row."""
        if self._columns <= 2:
            return True
        row = [
            other for other in self._comparison.subplots if other.index // self._columns == panel.index // self._columns
        ]
        last = max(row, key=lambda other: other.index)
        return panel is last or not {curve.setup for curve in panel.curves} <= {curve.setup for curve in last.curves}

    def _ends(self, axes: Axes, panel: Panel) -> list[End]:
        right = axes.get_xlim()[1]
        found = []
        for curve in panel.curves:
            last = max(int(np.searchsorted(curve.x, right, side="right")) - 1, 0)
            x = min(right, float(curve.x[-1]))
            found.append(End(self._names[curve.setup], x, float(curve.centre[last]), self._styles[curve.setup].ink))
        return found

    def _add_legend(self, axes: Axes) -> None:
        # Where curves that get better leave room.
        corner: Literal["upper right", "lower right"] = (
            "upper right" if self._comparison.mode == "min" else "lower right"
        )
        legend = axes.legend(loc=corner, fontsize=8, framealpha=0.85, edgecolor="none", handlelength=2.8)
        # It stands within the axes, which are not to make room for it.
        legend.set_in_layout(False)
        room = _LEGEND_SHARE * axes.figure.bbox.width / self._columns
        for text in legend.get_texts():
            shrink(text, max(room - _LEGEND_LINE * axes.figure.dpi, 1.0))

    def _add_figure_legend(self, figure: Figure, axes: Sequence[Axes]) -> None:
        ordered = list(self._names.values())
        if "figsize" not in (self._subplots.kwargs or {}):
            longest = max(map(len, ordered))
            figure.set_figwidth(figure.get_figwidth() + max(_LEGEND_WIDTH, _LEGEND_LINE + _LETTER * longest))
        handles: dict[str, Artist] = {}
        for one in axes:
            for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
                handles.setdefault(str(label), handle)
        ordered = [name for name in ordered if name in handles]
        figure.legend(
            [handles[name] for name in ordered],
            ordered,
            loc="outside right center",
            fontsize=8,
            frameon=False,
            handlelength=2.8,
        )


def full_part(curve: Curve) -> tuple[int, int]:
    """First and last point of the part in which all runs have a value and some of them still reports."""
    full = np.flatnonzero(curve.counts == len(curve.runs))
    if not len(full):
        return 0, 0
    begin = int(full[0])
    seen = int(np.searchsorted(curve.x, curve.seen_until, side="right")) - 1
    end = min(int(full[-1]), max(seen, begin))
    return begin, end


def _marked(x: Floats, curves: int, number: int) -> list[int]:
    """At which points of a curve markers stand: at even distances, for each curve elsewhere."""
    if len(x) < 2:
        return [0] if len(x) else []
    shares = (np.arange(_NUM_MARKERS) + (number + 0.5) / curves) / _NUM_MARKERS
    places = np.searchsorted(x, x[0] + shares * (x[-1] - x[0]), side="right") - 1
    return sorted(set(places.tolist()))
