"""What stands at the axes of a comparison and below it, unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.experiments.comparison.comparison import Panel
from cloudtune.experiments.comparison.plot_parameters import PlotParameters
from cloudtune.experiments.metadata_form import said_text

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult


def usual_xlabel(parameters: PlotParameters, experiments: Sequence[ExperimentResult]) -> str:
    """What the horizontal axis counts."""
    if parameters.over == "cost":
        return "cost of the trials [US dollars]"
    if parameters.over == "trials":
        return "trials with results"
    if parameters.over == "resource":
        names = (
            {parameters.resource_attr}
            if parameters.resource_attr
            else {name for one in experiments if (name := said_text(one.metadata, "resource_attr"))}
        )
        return f"{names.pop() if len(names) == 1 else 'resource'} of all trials together"
    return f"wall-clock time [{parameters.time_unit}]"


def usual_ylabel(metrics: Sequence[str]) -> str:
    """What the vertical axis shows."""
    return (
        f"best {metrics[0]} so far"
        if len(metrics) == 1
        else f"hypervolume of {', '.join(metrics[:-1])} and {metrics[-1]}"
    )


def usual_caption(panels: Sequence[Panel], parameters: PlotParameters) -> str:
    """What centre and interval are."""
    numbers = {len(curve.runs) for panel in panels for curve in panel.curves}
    runs = f"{min(numbers)} to {max(numbers)} runs" if len(numbers) > 1 else f"{max(numbers)} runs"
    if numbers == {1}:
        return "A single run each"
    share = f"{100 * (parameters.confidence or 0.95):g} %"
    return {
        "iqm_bootstrap": f"Interquartile mean of {runs}, with its {share} bootstrap interval",
        "mean_and_ci": f"Mean of {runs}, with its {share} confidence interval",
        "median_percentiles": f"Median of {runs}, with the 25th and 75th percentile",
    }[parameters.aggregate_mode or "iqm_bootstrap"]
