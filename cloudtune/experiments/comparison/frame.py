"""The frame of a figure: subplots, titles, names of axes, and what they show where nobody has said it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison import colours
from cloudtune.experiments.comparison.comparison import Curve
from cloudtune.experiments.comparison.drawn_text import shrink, wrapped
from cloudtune.experiments.comparison.plot_parameters import PlotParameters, SubplotParameters
from cloudtune.experiments.comparison.saving import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Of subplots in a figure: more take minutes, and nobody could read them.
MOST_SUBPLOTS = 100
_TICK_SIZE = 8
#: Of a subplot's width or height, what its own axes have at least.
_WITHIN = 0.8
#: Size of a subplot, in inches: alone or with one beside it, and with more.
_SIZE, _SMALL_SIZE = (4.4, 3.1), (3.4, 2.7)
#: Of the caption: font size, and how wide its characters are on average, as a share of that.
_SMALL_PRINT, _CHARACTER = 7.5, 0.5
#: By default the vertical axes show what curves do after this share of the horizontal ones: the first values of all
#: are far away from all that is compared.
_BEGINNING = 0.05
_MARGIN = 0.06


def arranged(needed: int, subplots: SubplotParameters) -> tuple[int, int]:
    """Rows and columns.

    Raises:
        CloudtuneError: Those that are given are too few, or there are too many.
    """
    rows, columns = subplots.nrows, subplots.ncols
    if columns is None:
        if rows is not None:
            columns = math.ceil(needed / rows)
        else:
            columns = needed if needed <= 3 else math.ceil(math.sqrt(needed))
    if rows is None:
        rows = math.ceil(needed / columns)
    if rows * columns < needed:
        raise CloudtuneError(
            f"there are subplots up to number {needed - 1}, and nrows={rows} times ncols={columns} of them do not hold "
            "that; raise one of the two, or leave both out of SubplotParameters"
        )
    if rows * columns > MOST_SUBPLOTS:
        raise CloudtuneError(
            f"a figure holds {MOST_SUBPLOTS} subplots at most, and this one would have {rows} rows and {columns} "
            "columns: let metadata_to_subplot= return a title instead of a large number, or show fewer at once"
        )
    return rows, columns


def begin_figure(rows: int, columns: int, subplots: SubplotParameters) -> tuple[Figure, list[Axes]]:
    """An empty figure, and its axes row by row."""
    kwargs = {"sharex": "all", "sharey": "all", **(subplots.kwargs or {})}
    width, height = _SIZE if columns <= 2 else _SMALL_SIZE
    size = kwargs.pop("figsize", (columns * width + 0.6, rows * height + 0.5))
    figure = new_figure(figsize=size, layout="constrained")
    try:
        return figure, list(figure.subplots(rows, columns, squeeze=False, **kwargs).flat)
    except (TypeError, ValueError, AttributeError) as error:
        given = f"SubplotParameters(kwargs={dict(subplots.kwargs or {})})"
        raise CloudtuneError(f"matplotlib's Figure.subplots does not take {given}: {error}") from error


def finish_figure(
    figure: Figure,
    axes: Sequence[Axes],
    titles: Mapping[int, str],
    parameters: PlotParameters,
    names: tuple[str, str],
    title: str,
    caption: str,
) -> None:
    """Titles, names of axes, scales, ticks; takes away the axes in which there is nothing.

    Args:
        figure: With all curves.
        axes: Row by row.
        titles: Of the axes in use, by their numbers.
        parameters: Of the figure.
        names: What the horizontal and the vertical axes show.
        title: Of all of it.
        caption: Small print below.
    """
    subplots = parameters.subplots or SubplotParameters()
    columns = axes[0].get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]  # made by subplots
    each = subplots.title_each_figure
    width, height = figure.get_figwidth() / columns, figure.get_figheight() / (len(axes) // columns)
    for number, one in enumerate(axes):
        if number not in titles:
            one.set_axis_off()
            continue
        one.set_xscale(parameters.xscale or "linear")
        one.set_yscale(parameters.yscale or "linear")
        _write_plainly(one)
        one.set_facecolor("white")
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(colours.MUTED)
        if parameters.grid:
            one.grid(color=colours.LINES, linewidth=0.7)
            one.set_axisbelow(True)
        # Logarithmic axes that span little have numbers at their minor ticks.
        one.tick_params(which="both", labelsize=_TICK_SIZE, color=colours.MUTED, labelcolor=colours.INK)
        _set_ticks(one, parameters.tick_params or {})
        is_lowest = number + columns not in titles
        if is_lowest:
            one.set_xlabel(wrapped(names[0], 9, _WITHIN * width, 2), fontsize=9, color=colours.INK)
            one.tick_params(which="both", labelbottom=True)
        if number % columns == 0 or number - 1 not in titles:
            one.set_ylabel(wrapped(names[1], 9, _WITHIN * height, 2), fontsize=9, color=colours.INK)
            one.tick_params(which="both", labelleft=True)
        own = titles[number]
        if each is False and subplots.titles:
            own = subplots.titles[number] if number < min(columns, len(subplots.titles)) else ""
        if each and title:
            own = f"{title} {own}".strip()
        drawn = one.set_title(wrapped(own, 10, _WITHIN * width, 3), fontsize=10, color=colours.INK)
        shrink(drawn, _WITHIN * width * figure.dpi)
    if title and not each:
        text = wrapped(title, 11, 0.95 * figure.get_figwidth(), 3)
        shrink(figure.suptitle(text, fontsize=11, color=colours.INK), 0.97 * figure.bbox.width)
    if caption:
        fitting = int(0.95 * figure.get_figwidth() * 72 / (_CHARACTER * _SMALL_PRINT))
        figure.supxlabel(textwrap.fill(caption, fitting), fontsize=_SMALL_PRINT, color=colours.MUTED)


def _write_plainly(axes: Axes) -> None:
    """Numbers of an ordinary size at logarithmic axes as they are, not as products of powers: 4.9, not 4.9 x 10^0."""
    from matplotlib.ticker import LogFormatterSciNotation

    class Plain(LogFormatterSciNotation):
        def __call__(self, x: float, pos: int | None = None) -> str:
            # Which ticks have a number is decided as ever.
            text = str(super().__call__(x, pos))
            return f"{x:.4g}" if text and 1e-4 <= x < 1e6 else text

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter(Plain())
            axis.set_minor_formatter(Plain())


def _set_ticks(axes: Axes, wanted: Mapping[str, Any]) -> None:
    """As a user wants them."""
    try:
        axes.tick_params(**wanted)
    except (TypeError, ValueError, AttributeError) as error:
        raise CloudtuneError(
            f"matplotlib's Axes.tick_params does not take PlotParameters(tick_params={dict(wanted)}): {error}"
        ) from error


def value_range(curves: Sequence[Curve], mode: str, log: bool) -> tuple[float, float] | None:
    """What the vertical axis shows of curves by default; None: what matplotlib chooses.

    From the best value to the worst that a centre has after the beginning, and as much of the intervals as does not
    make the curves flat.
    """
    worst, best, ends = [], [], [np.empty(0)]
    sign = 1.0 if mode == "min" else -1.0
    for curve in curves:
        if len(curve.x):
            later = curve.x[0] + _BEGINNING * (curve.x[-1] - curve.x[0])
            first = max(int(np.searchsorted(curve.x, later, side="right")) - 1, 0)
            worst.append(sign * curve.centre[first])
            best.append(sign * curve.centre[-1])
            ends += [sign * curve.lower[first:], sign * curve.upper[first:]]
    if not worst or not np.isfinite(worst + best).all() or max(worst) == min(best):
        return None
    outer, inner = max(worst), min(best)
    reach = 0.5 * (outer - inner)
    shown = np.concatenate(ends)
    shown = shown[np.isfinite(shown) & (shown > inner - reach) & (shown < outer + reach)]
    low, high = sorted((sign * max(outer, shown.max(initial=outer)), sign * min(inner, shown.min(initial=inner))))
    if log:
        return None if low <= 0 else (low * (low / high) ** _MARGIN, high * (high / low) ** _MARGIN)
    return low - _MARGIN * (high - low), high + _MARGIN * (high - low)


def x_limits(parameters: PlotParameters, number: int) -> tuple[float | None, float] | None:
    """Where the horizontal axis of a subplot begins and ends, if that is said."""
    xlims = (parameters.subplots or SubplotParameters()).xlims
    if xlims is not None and number < len(xlims):
        own = xlims[number]
        # A logarithmic axis cannot begin at 0.
        return own if isinstance(own, tuple) else (None if parameters.xscale == "log" else 0.0, float(own))
    return parameters.xlim
