"""Names of curves at their right ends, one below the other; or a legend, where they would not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_FONT_SIZE = 8.5
_LINE_HEIGHT = 1.25
#: A label stands no further from the end of its curve than so many lines: else nobody sees what belongs together.
_FURTHEST = 3.5
#: Labels take no more than this share of the width of the axes.
_WIDEST = 0.4
#: Points between axes and labels: without lines to them, and with.
_GAP, _LONG_GAP = 5.0, 14.0


@dataclass(frozen=True)
class End:
    """The right end of a curve, in the units of the axes.

    Args:
        text: Its name.
        x: Where it ends.
        y: Where it ends.
        colour: Of the name.
    """

    text: str
    x: float
    y: float
    colour: str


def label_ends(axes: Axes, ends: Sequence[End]) -> list[Annotation]:
    """Writes the names to the right of the axes. They have their places only once :func:`settle` was called."""
    labels = []
    for end in ends:
        label = axes.annotate(
            end.text,
            (end.x, end.y),
            xytext=(1.0, 0.5),
            textcoords="axes fraction",
            fontsize=_FONT_SIZE,
            color=end.colour,
            va="center",
            ha="left",
            annotation_clip=False,
            zorder=6,
        )
        labels.append(label)
    return labels


def may_fit(labels: Sequence[Annotation], room: float) -> bool:
    """Whether labels leave enough of a subplot to its axes. Where they do not, there is nothing to lay out.

    Args:
        labels: Of the subplot.
        room: Its width in pixels, labels included.
    """
    return max((label.get_window_extent().width for label in labels), default=0.0) <= _WIDEST * room


def settle(axes: Axes, labels: Sequence[Annotation], ends: Sequence[End]) -> bool:
    """Moves the labels beside their curves' ends, where the figure has been laid out; false if they do not fit."""
    box = axes.get_window_extent()
    pixel = axes.figure.dpi / 72
    height = _FONT_SIZE * _LINE_HEIGHT * pixel
    widths = [label.get_window_extent().width for label in labels]
    if max(widths, default=0.0) > _WIDEST * (box.width + max(widths, default=0.0)):
        return False
    at = axes.transData.transform([(end.x, end.y) for end in ends])
    wanted = np.clip(at[:, 1], box.y0, box.y1)
    places = spread(wanted.tolist(), height, box.y0, box.y1)
    if places is None or max(abs(place - one) for place, one in zip(places, wanted, strict=True)) > _FURTHEST * height:
        return False
    apart = [
        abs(place - one) > 0.3 * height or right < box.x1 - 2
        for place, one, right in zip(places, wanted, at[:, 0], strict=True)
    ]
    gap = (_LONG_GAP if any(apart) else _GAP) * pixel
    for number, label in enumerate(labels):
        label.set_position((1 + gap / box.width, (places[number] - box.y0) / box.height))
        if any(apart):
            edge = (min(max(at[number, 0], box.x0), box.x1), wanted[number])
            _lead(axes, label, edge, (box.x1, wanted[number]), dotted=True)
            _lead(axes, label, (box.x1, wanted[number]), (box.x1 + gap - 2 * pixel, places[number]))
    return True


def spread(wanted: Sequence[float], height: float, low: float, high: float) -> list[float] | None:
    """Places between ``low`` and ``high``, ``height`` apart, as near to the wanted ones as can be (least squares).

    Without the distance, the places would only have to keep the order: an isotonic regression, which is solved by
    pooling neighbours that collide.

    Returns:
        The places, in the order of ``wanted``; None if there are too many.
    """
    if len(wanted) * height > high - low + height:
        return None
    order = sorted(range(len(wanted)), key=lambda index: (wanted[index], index))
    pools: list[tuple[float, int]] = []  # mean place of the first one in a pool, and how many there are in it
    for number, index in enumerate(order):
        mean, size = wanted[index] - number * height, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean, size = (mean * size + other * others) / (size + others), size + others
        pools.append((mean, size))
    levels = [mean for mean, size in pools for _ in range(size)]
    top = high - (len(wanted) - 1) * height
    places = [0.0] * len(wanted)
    for number, (index, level) in enumerate(zip(order, levels, strict=True)):
        places[index] = min(max(level, low), max(top, low)) + number * height
    return places


def _lead(
    axes: Axes, label: Annotation, begin: tuple[float, float], end: tuple[float, float], dotted: bool = False
) -> None:
    """A thin line from the end of a curve to its label, in pixels; dotted within the axes, where it is no data."""
    if dotted and end[0] - begin[0] < 1:
        return
    to_axes = axes.transAxes.inverted()
    points = to_axes.transform([begin, end])
    axes.plot(
        points[:, 0],
        points[:, 1],
        transform=axes.transAxes,
        color=label.get_color(),
        linewidth=0.6,
        linestyle=(0, (1, 4)) if dotted else "solid",
        clip_on=False,
        zorder=5,
        in_layout=False,
        label="_leader",
    )
