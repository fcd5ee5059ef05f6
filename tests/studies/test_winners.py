"""Which configuration of a study is the best, and whose results count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cloudtune.experiments import ExperimentResult
from cloudtune.studies.winners import NothingToRerun, winners


def _experiment(name: str, errors: list[float], **metadata: Any) -> ExperimentResult:
    """One with a report of each error, by a trial of its own; the errors are their configurations, too."""
    rows = {
        "trial_id": list(range(len(errors))),
        "error": errors,
        "st_tuner_time": [float(number) for number in range(len(errors))],
        "config_x": errors,
        "config_epochs": [3] * len(errors),
    }
    known = {"tag": "t", "benchmark": "b", "method": "RS", "metric_names": ["error"], "metric_mode": "min", **metadata}
    return ExperimentResult(name, pd.DataFrame(rows if errors else {}), known, Path(name))


def test_the_best_over_methods_and_seeds_of_each_benchmark() -> None:
    """Its configuration, value and trial, and who found it; other studies and reruns do not count."""
    found = winners(
        "t",
        [
            _experiment("one", [3.0, 2.0]),
            _experiment("two", [5.0, 1.0, 4.0], method="ASHA"),
            _experiment("three", [7.0], benchmark="a"),
            _experiment("other", [0.0], tag="t-2"),
            _experiment("again", [0.5], rerun_of="two"),
            _experiment("none", []),
        ],
    )
    assert [(one.benchmark, one.experiment, one.value) for one in found] == [("a", "three", 7.0), ("b", "two", 1.0)]
    assert (found[1].method, found[1].trial_id, found[1].metric, found[1].mode) == ("ASHA", 1, "error", "min")
    assert found[1].config == {"x": 1.0, "epochs": 3}


def test_what_is_maximised() -> None:
    """The largest value wins there; of equal ones the experiment that began first."""
    found = winners("t", [_experiment(name, [1.0, 3.0, 2.0], metric_mode="max") for name in ("first", "second")])
    assert [(one.experiment, one.value, one.trial_id) for one in found] == [("first", 3.0, 1)]


def test_numbers_that_are_none() -> None:
    """NaN and infinity never win."""
    found = winners("t", [_experiment("one", [float("nan"), float("-inf"), 2.0])])
    assert [one.value for one in found] == [2.0]


@pytest.mark.parametrize(
    ("experiments", "benchmarks", "message"),
    [
        ([], [], "study 't' has no result; there is no experiment that was launched under this tag"),
        ([_experiment("one", [])], [], "has no result; none of its 1 experiments has reported a finite number yet"),
        ([_experiment("one", [1.0])], ["c"], "study 't' has no result on c; there are results on b"),
        (
            [_experiment("one", [1.0]), _experiment("two", [1.0], metric_mode="max")],
            [],
            "one and two optimise different things on b: min error and max error; put them under two tags",
        ),
    ],
)
def test_nothing_to_run_again(experiments: list[ExperimentResult], benchmarks: list[str], message: str) -> None:
    """The message says what there is instead."""
    with pytest.raises(NothingToRerun) as raised:
        winners("t", experiments, benchmarks)
    assert message in str(raised.value)
