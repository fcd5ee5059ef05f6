"""The comparison of methods: data from which the page draws it, and a table of where its curves end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.comparing import compare
from cloudtune.experiments.comparison.comparison import Comparison, Curve
from cloudtune.experiments.comparison.plot_parameters import Over, PlotParameters
from cloudtune.experiments.quantities import NOTHING, number
from cloudtune.experiments.report.curves import numbers
from cloudtune.experiments.report.markup import Html, embedded, joined, tag
from cloudtune.experiments.report.reruns import reruns_section
from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy
from cloudtune.experiments.report.table import count, quantity, table
from cloudtune.experiments.report.thinning import thinned
from cloudtune.experiments.values import as_number
from cloudtune.status_table import printable

_AXES: tuple[Over, ...] = ("time", "cost", "resource", "trials")
#: Points of a curve, and of all curves together.
_MOST_POINTS, _FEWEST_POINTS, _POINTS_IN_ALL = 300, 40, 60_000


def comparison_section(study: ReportedStudy) -> Html:
    """For each benchmark a picture and a table."""
    groups: dict[str, list[ReportedExperiment]] = {}
    for one in study.experiments:
        if not one.repeats:
            groups.setdefault(one.benchmark, []).append(one)
    if not groups:
        return joined(tag("p", "There are no experiments to compare yet."), reruns_section(study.experiments))
    compared = {benchmark: _views(of) for benchmark, of in groups.items()}
    curves = sum(len(panel.curves) for views, _ in compared.values() for view in views for panel in view.subplots)
    points = max(_FEWEST_POINTS, min(_MOST_POINTS, _POINTS_IN_ALL // max(1, curves)))
    return joined(
        *(
            _of_benchmark(benchmark, views, refused, points, index)
            for index, (benchmark, (views, refused)) in enumerate(compared.items())
        ),
        reruns_section(study.experiments),
    )


def _of_benchmark(benchmark: str, views: Sequence[Comparison], refused: str, points: int, index: int) -> Html:
    heading = tag("h3", benchmark or "Experiments")
    if not views:
        return joined(heading, tag("p", f"{refused[:1].upper()}{refused[1:]}."))
    notes = list(dict.fromkeys(note for view in views for note in view.notes))
    return joined(
        heading,
        tag("div", class_="comparison", data_from=f"comparison-{index}"),
        embedded(f"comparison-{index}", [_view_data(view, points) for view in views]),
        _ends(views[0]),
        tag("ul", *(tag("li", note) for note in notes), class_="notes") if notes else None,
    )


def _views(experiments: Sequence[ReportedExperiment]) -> tuple[list[Comparison], str]:
    """What can be compared, over each axis; and why nothing can be."""
    results = [one.result for one in experiments]
    metrics = next((one.metrics for one in experiments if one.metrics), [])
    # The first is not named, so that experiments with different metrics are refused as such.
    names = [None if index == 0 else metric.name for index, metric in enumerate(metrics[:2])]
    wanted = [PlotParameters(metric=name, over=over) for name in names for over in _AXES]
    if len(metrics) > 1:
        wanted.append(PlotParameters(metric=(metrics[0].name, metrics[1].name)))
    views, refused = [], ""
    for parameters in wanted:
        try:
            views.append(compare(results, parameters))
        except (CloudtuneError, ValueError) as error:
            # Not every axis has something to say: where trials ran here, nothing has a cost.
            refused = refused or " ".join(str(error).split())
    shown = [view for view in views if any(len(curve.x) > 1 for panel in view.subplots for curve in panel.curves)]
    return shown or views[:1], refused or "there is nothing to compare: no metric is known"


def _view_data(view: Comparison, points: int) -> dict[str, Any]:
    return {
        "over": view.parameters.over or "time",
        "metric": printable(" and ".join(view.metric)),
        "mode": view.mode,
        "xlabel": printable(view.xlabel),
        "ylabel": printable(view.ylabel),
        "panels": [
            {"title": printable(panel.title), "curves": [_curve_data(curve, points) for curve in panel.curves]}
            for panel in view.subplots
        ],
    }


def _curve_data(curve: Curve, points: int) -> dict[str, Any]:
    kept = thinned(curve.centre, points)
    return {
        "setup": printable(curve.setup),
        "runs": len(curve.runs),
        "until": as_number(float(curve.seen_until)),
        "x": numbers(curve.x[kept]),
        "centre": numbers(curve.centre[kept]),
        "lower": numbers(curve.lower[kept]),
        "upper": numbers(curve.upper[kept]),
        "counts": curve.counts[kept].tolist(),
    }


def _ends(view: Comparison) -> Html:
    rows = []
    several = len(view.subplots) > 1
    for panel in view.subplots:
        for curve in panel.curves:
            if len(curve.x):
                ends = [as_number(float(of[-1])) for of in (curve.x, curve.centre, curve.lower, curve.upper)]
                rows.append(
                    [
                        f"{panel.title}: {curve.setup}" if several and panel.title else curve.setup,
                        count(len(curve.runs)),
                        *(quantity(value, number(value)) for value in ends),
                    ]
                )
    columns = ("setup", "runs", view.xlabel, f"{view.ylabel} there", "lower", "upper")
    return table(f"Where the curves end. {view.caption}.", columns, rows) if rows else tag("p", NOTHING)
