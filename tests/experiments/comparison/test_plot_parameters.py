"""Parameters of figures: filled in from one another, and checked where they are given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cloudtune.experiments import PlotParameters, SubplotParameters


def test_what_is_given_later_counts() -> None:
    """Field by field, those of the subplots too."""
    first = PlotParameters(xlabel="x", ylim=(0, 1), grid=False, subplots=SubplotParameters(nrows=1, titles=["a"]))
    second = PlotParameters(ylim=(5, 8), dpi=100, subplots=SubplotParameters(titles=["b"]))
    assert second.laid_over(first) == PlotParameters(
        xlabel="x", ylim=(5, 8), grid=False, dpi=100, subplots=SubplotParameters(nrows=1, titles=["b"])
    )
    assert PlotParameters().laid_over(first) == first
    assert first.laid_over(None) == first


def test_defaults() -> None:
    """Those that are written in the documentation."""
    complete = PlotParameters(grid=False).complete()
    assert (complete.aggregate_mode, complete.over, complete.time_unit) == ("iqm_bootstrap", "time", "s")
    assert (complete.confidence, complete.num_draws, complete.random_seed, complete.dpi) == (0.95, 1000, 0, 200)
    assert (complete.grid, complete.xscale, complete.yscale, complete.metric_multiplier) == (
        False, "linear", "linear", 1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"aggregate_mode": "iqm"}, "choose 'iqm_bootstrap', 'mean_and_ci' or 'median_percentiles'"),
        ({"over": "wallclock"}, "choose 'time', 'cost', 'resource' or 'trials'"),
        ({"time_unit": "d"}, "choose 's', 'min' or 'h'"),
        ({"yscale": "logarithmic"}, "choose 'linear' or 'log'"),
        ({"confidence": 95}, "must lie between 0 and 1"),
        ({"num_draws": 0}, "must lie between 1 and 10000"),
        ({"num_draws": 1_000_000}, "must lie between 1 and 10000"),
        ({"random_seed": -1}, "must not be negative"),
        ({"reference_point": (0, math.nan)}, "must be two to 4 finite numbers"),
        ({"reference_point": (0, 3, 4, 5, 6)}, "must be two to 4 finite numbers, one for each metric"),
        ({"reference_point": 3}, "must be two to 4 finite numbers"),
        ({"xlim": (0, math.inf)}, "must be two finite numbers"),
        ({"ylim": "ab"}, "must be two finite numbers"),
        ({"metric": True}, "must be a name or position of a metric"),
        ({"metric": (0.5, "loss")}, "must be a name or position of a metric"),
        ({"metric_multiplier": 0}, "must be a finite number other than 0"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], said: str) -> None:
    """At once, with what would do."""
    with pytest.raises(ValueError, match=said):
        PlotParameters(**wrong)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5])
def test_wrong_shapes_are_refused(wrong: Any) -> None:
    """A figure has at least one row and one column."""
    for name in ("nrows", "ncols"):
        with pytest.raises(ValueError, match=f"{name}=.* must be a number of subplots, at least 1"):
            SubplotParameters(**{name: wrong})


def test_limits_that_are_left_open() -> None:
    """One end of an axis may be left to matplotlib."""
    limits: Any = (None, 1.0)
    assert PlotParameters(ylim=limits).ylim == limits
