"""Values of a metric as numbers, whatever stands among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cloudtune.experiments import load_experiment
from cloudtune.experiments.report.reading import read_in_folder
from cloudtune.experiments.values import column_of_numbers, holds_numbers
from tests.experiments.recorded import recorded, row, trial

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([0.5, "NaN", 0.3], [0.5, NAN, 0.3]),
        ([0.5, True, "2"], [0.5, 1.0, 2.0]),
        ([0.5, [1], {}, None], [0.5, NAN, NAN, NAN]),
        ([10**400, 0.25, "x", -(10**400)], [NAN, 0.25, NAN, NAN]),
        ([float("inf"), 1.0], [NAN, 1.0]),
        ([10**20, 1], [1e20, 1.0]),
    ],
)
def test_what_is_no_number_costs_only_itself(values: list[Any], numbers: list[float]) -> None:
    """In the column, in the losses of an experiment, and in what a report reads: the same numbers."""
    column = pd.Series(values, dtype=object)
    np.testing.assert_array_equal(column_of_numbers(column), numbers)
    assert holds_numbers(column)
    recorded("demo", trial(0, lr=0.1), *[row(0, float(place), loss=value) for place, value in enumerate(values)])
    experiment = load_experiment("demo")
    np.testing.assert_array_equal(experiment.losses("loss", 1.0), np.nan_to_num(numbers, nan=np.inf))
    np.testing.assert_array_equal(read_in_folder(experiment).values("loss"), numbers)


def test_a_column_without_any_number() -> None:
    """It is none of numbers, and is not taken for losses; the message says which are."""
    assert not holds_numbers(pd.Series(["a", "b"]))
    assert holds_numbers(pd.Series([NAN, NAN]))
    recorded("demo", trial(0, lr=0.1), row(0, 1.0, loss="high", other=1.0))
    with pytest.raises(ValueError, match=r"'demo' holds a number 'loss': choose one of .*'other'"):
        load_experiment("demo").losses("loss", 1.0)
