"""The numbers behind a figure: for each subplot a curve for each setup, on a grid that they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cloudtune.experiments.comparison.plot_parameters import PlotParameters

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Curve:
    """The runs of a setup, aggregated.

    Between two values of ``x`` everything stays as it was at the first of them.

    Args:
        setup: What the runs have in common.
        runs: Names of the experiments.
        x: Grid, rising. Begins where all runs have a value that ever have one; ends where the panel's grid ends or,
            if runs have not finished, where less than half of them have got to.
        centre: Interquartile mean, mean or median.
        lower: Lower end of the interval; NaN where too few runs have a value to know one.
        upper: Its upper end.
        counts: How many runs have a value there.
        seen_until: Where the last report of all runs lies. Beyond it, all of the curve is carried on.
    """

    setup: str
    runs: tuple[str, ...]
    x: Floats = field(repr=False)
    centre: Floats = field(repr=False)
    lower: Floats = field(repr=False)
    upper: Floats = field(repr=False)
    counts: Ints = field(repr=False)
    seen_until: float = np.inf


@dataclass(frozen=True)
class Panel:
    """A subplot.

    Args:
        title: Of its own; "" if it is the only one.
        curves: In the order of the setups.
        index: Its place in the figure, from 0.
    """

    title: str
    curves: tuple[Curve, ...]
    index: int = 0


@dataclass(frozen=True)
class Comparison:
    """What a figure shows.

    Args:
        subplots: The panels, by place.
        metric: What the curves show the best value of so far; two of them: their hypervolume.
        mode: ``"min"`` or ``"max"``: whether falling or rising curves are the good ones.
        xlabel: Of the horizontal axes.
        ylabel: Of the vertical axes.
        parameters: What the figure is drawn with; nothing that has a default is left out.
        caption: What centre and interval of the curves are, and of how many runs.
        benchmark: Of the experiments, if they name one.
        notes: What was warned of: what is missing, surplus or passed over, and why.
    """

    subplots: tuple[Panel, ...]
    metric: tuple[str, ...]
    mode: str
    xlabel: str
    ylabel: str
    parameters: PlotParameters = field(repr=False)
    caption: str = ""
    benchmark: str | None = None
    notes: tuple[str, ...] = ()

    def as_object(self) -> dict[str, Any]:
        """All of it but the parameters as JSON values; what is not known is None."""
        return {
            "benchmark": self.benchmark,
            "metric": list(self.metric),
            "mode": self.mode,
            "xlabel": self.xlabel,
            "ylabel": self.ylabel,
            "caption": self.caption,
            "notes": list(self.notes),
            "subplots": [
                {
                    "title": panel.title,
                    "index": panel.index,
                    "curves": [
                        {
                            "setup": curve.setup,
                            "runs": list(curve.runs),
                            **{name: _plain(getattr(curve, name)) for name in ("x", "centre", "lower", "upper")},
                            "counts": curve.counts.tolist(),
                            "seen_until": curve.seen_until,
                        }
                        for curve in panel.curves
                    ],
                }
                for panel in self.subplots
            ],
        }


def _plain(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
