"""What a figure shows, and how: every field that is left out is filled in by what it is laid over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

from cloudtune.experiments.hypervolume import MAX_LOSSES

AggregateMode = Literal["iqm_bootstrap", "mean_and_ci", "median_percentiles"]
Over = Literal["time", "cost", "resource", "trials"]
TimeUnit = Literal["s", "min", "h"]

_P = TypeVar("_P", "PlotParameters", "SubplotParameters")

AGGREGATE_MODES = ("iqm_bootstrap", "mean_and_ci", "median_percentiles")
OVER = ("time", "cost", "resource", "trials")
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
#: Of the bootstrap. More would change nothing that can be seen, and take gigabytes.
MAX_DRAWS = 10_000
_SCALES = ("linear", "log")


@dataclass(frozen=True)
class SubplotParameters:
    """How a figure is parted.

    Args:
        nrows: Rows of subplots. Default: as many as are needed.
        ncols: Columns of subplots. Default: as many as are needed.
        kwargs: Further arguments of matplotlib's ``Figure.subplots``, such as ``{"sharey": "all"}`` or ``figsize``.
        titles: One for each subplot, in the order of the numbers that ``metadata_to_subplot`` gives.
        title_each_figure: False: ``titles`` are those of the columns, and stand over the first row only. True: the
            title of the figure stands over each subplot, before its own, instead of once over all. Default: neither.
        legend_no: Number of the subplot, or numbers of the subplots, that get a legend; the curves of none are named
            at their ends then. Default: names at the curves' ends where they fit, legends where not.
        xlims: For each subplot where its horizontal axis ends; or pairs, where it begins and ends.
    """

    nrows: int | None = None
    ncols: int | None = None
    kwargs: Mapping[str, Any] | None = None
    titles: Sequence[str] | None = None
    title_each_figure: bool | None = None
    legend_no: int | Sequence[int] | None = None
    xlims: Sequence[float | tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        for name in ("nrows", "ncols"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise ValueError(
                    f"{name}={value!r} must be a number of subplots, at least 1; leave it out for as needed"
                )


@dataclass(frozen=True)
class PlotParameters:
    """What a figure shows, and how. None: the default, or what the parameters that these are laid over say.

    Args:
        metric: Name or position of a metric that the experiments optimise; the first by default. Two to four names:
            the hypervolume of these.
        title: Of the figure.
        xlabel: Of the horizontal axes; made from ``over`` by default.
        ylabel: Of the vertical axes; made from the metric by default.
        xlim: Where horizontal axes begin and end, in the units they are drawn in.
        ylim: Where vertical axes begin and end.
        xscale: ``"linear"`` (default) or ``"log"``.
        yscale: ``"linear"`` (default) or ``"log"``.
        over: What the horizontal axis counts: ``"time"`` (default; active wall-clock time of the tuner), ``"cost"``
            (US dollars for running trials, as they estimate it), ``"resource"`` (for instance epochs, of all trials
            together), or ``"trials"`` (which have reported).
        time_unit: ``"s"`` (default), ``"min"`` or ``"h"``.
        resource_attr: Column of the results that counts a trial's resource; what the experiments name by default.
        metric_multiplier: Values are shown times this: 100 for per cent.
        aggregate_mode: ``"iqm_bootstrap"`` (default; interquartile mean, bootstrap interval), ``"mean_and_ci"`` (mean,
            Student's interval), or ``"median_percentiles"`` (median, and the 25th and 75th percentile).
        confidence: Of the first two intervals; 0.95 by default.
        num_draws: Of the bootstrap; 1000 by default.
        random_seed: Of the bootstrap; 0 by default.
        reference_point: Corner of the hypervolume, in the units of the metrics; the worst values of all experiments in
            the figure by default.
        grid: Draw grid lines (default) or not.
        dpi: Of png files; 200 by default.
        tick_params: Arguments of matplotlib's ``Axes.tick_params``.
        caption: Small print below; by default it says what centre and interval are. ``""``: none.
        subplots: How the figure is parted.
    """

    metric: str | int | tuple[str, ...] | None = None
    title: str | None = None
    xlabel: str | None = None
    ylabel: str | None = None
    xlim: tuple[float, float] | None = None
    ylim: tuple[float, float] | None = None
    xscale: str | None = None
    yscale: str | None = None
    over: Over | None = None
    time_unit: TimeUnit | None = None
    resource_attr: str | None = None
    metric_multiplier: float | None = None
    aggregate_mode: AggregateMode | None = None
    confidence: float | None = None
    num_draws: int | None = None
    random_seed: int | None = None
    reference_point: tuple[float, ...] | None = None
    grid: bool | None = None
    dpi: int | None = None
    tick_params: Mapping[str, Any] | None = None
    caption: str | None = None
    subplots: SubplotParameters | None = None

    def __post_init__(self) -> None:
        _choice("aggregate_mode", self.aggregate_mode, AGGREGATE_MODES)
        _choice("over", self.over, OVER)
        _choice("time_unit", self.time_unit, tuple(SECONDS))
        _choice("xscale", self.xscale, _SCALES)
        _choice("yscale", self.yscale, _SCALES)
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise ValueError(f"confidence={self.confidence} must lie between 0 and 1, as 0.95 does")
        if self.random_seed is not None and self.random_seed < 0:
            raise ValueError(f"random_seed={self.random_seed} must not be negative")
        if self.num_draws is not None and not 1 <= self.num_draws <= MAX_DRAWS:
            raise ValueError(f"num_draws={self.num_draws} must lie between 1 and {MAX_DRAWS}; 1000 is usual")
        _metric(self.metric)
        _corner(self.reference_point)
        _pair("xlim", self.xlim, may_be_open=True)
        _pair("ylim", self.ylim, may_be_open=True)
        if self.metric_multiplier is not None and not (_is_finite(self.metric_multiplier) and self.metric_multiplier):
            raise ValueError(f"metric_multiplier={self.metric_multiplier!r} must be a finite number other than 0")

    def complete(self) -> PlotParameters:
        """These, with the defaults for what is left out and has one."""
        return self.laid_over(_DEFAULTS)

    def laid_over(self, under: PlotParameters | None) -> PlotParameters:
        """These; what is left out is taken from ``under``."""
        if under is None:
            return self
        merged = _filled(self, under)
        if self.subplots is not None and under.subplots is not None:
            merged = replace(merged, subplots=_filled(self.subplots, under.subplots))
        return merged


def _filled(over: _P, under: _P) -> _P:
    missing = {one.name: getattr(under, one.name) for one in fields(over) if getattr(over, one.name) is None}
    return replace(over, **missing)


def _choice(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise ValueError(
            f"there is no {name}={value!r}: choose {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}"
        )


def _metric(value: object) -> None:
    """Names and positions; True and False are numbers in Python, and no positions."""
    for one in value if isinstance(value, tuple | list) else (value,):
        if isinstance(one, bool) or not isinstance(one, str | int | None):
            raise ValueError(f"metric={value!r} must be a name or position of a metric, or some of them")


def _several(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()


def _corner(value: object) -> None:
    """A number for each of the metrics of a hypervolume."""
    if value is None:
        return
    numbers = _several(value)
    if not 2 <= len(numbers) <= MAX_LOSSES or not all(map(_is_finite, numbers)):
        raise ValueError(f"reference_point={value!r} must be two to {MAX_LOSSES} finite numbers, one for each metric")


def _pair(name: str, value: object, may_be_open: bool) -> None:
    """Two numbers; an end of an axis may be left to matplotlib, as None."""
    if value is None:
        return
    both = _several(value)
    if len(both) != 2 or not all(_is_finite(one) or (may_be_open and one is None) for one in both):
        raise ValueError(f"{name}={value!r} must be two finite numbers")


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


_DEFAULTS = PlotParameters(
    xscale="linear",
    yscale="linear",
    over="time",
    time_unit="s",
    metric_multiplier=1.0,
    aggregate_mode="iqm_bootstrap",
    confidence=0.95,
    num_draws=1000,
    random_seed=0,
    grid=True,
    dpi=200,
    subplots=SubplotParameters(),
)
