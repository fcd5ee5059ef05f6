"""What metadata say, in whatever form they were written."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.errors import CloudtuneError
from cloudtune.experiments import ExperimentResult, load_experiment, load_experiments, load_experiments_df
from cloudtune.experiments.metadata_form import UnusualMetadata, begun_at, said_modes, said_names, said_text
from tests.experiments.recorded import THREE_TRIALS, recorded


@pytest.mark.parametrize(
    ("names", "modes", "said"),
    [
        ("loss", "max", [("loss", "max")]),
        (["a", "b"], "min", [("a", "min"), ("b", "min")]),
        (["a", "b"], ["max", "min"], [("a", "max"), ("b", "min")]),
    ],
)
def test_metrics_in_usual_forms(names: Any, modes: Any, said: list[tuple[str, str]]) -> None:
    """A single name may stand there without a list; one mode is for all."""
    metadata = {"metric_names": names, "metric_mode": modes}
    assert list(zip(said_names(metadata), said_modes(metadata), strict=True)) == said


@pytest.mark.parametrize(
    ("names", "modes", "why"),
    [
        (None, "min", "they have no 'metric_names'"),
        ([], "min", "is no list of names"),
        ([1], "min", r"is no list of names: \[1\]"),
        ({"loss": 1}, "min", "is no list of names"),
        (["loss"], None, "they have no 'metric_mode'"),
        (["loss"], "maximize", "'metric_mode' is neither 'min' nor 'max'.*'maximize'"),
        (["loss"], [["min"]], "is neither 'min' nor 'max'"),
        (["a", "b"], ["min"], r"is neither 'min' nor 'max'.*\['min'\]"),
        (["loss"], "x" * 1000, r"x\.\.\.$"),
    ],
)
def test_metrics_that_are_not_said(names: Any, modes: Any, why: str) -> None:
    """Nothing is guessed: the reason is told, shortly, by the experiment with its name."""
    metadata = {"metric_names": names, "metric_mode": modes}
    with pytest.raises(UnusualMetadata, match=why):
        said_modes(metadata)
    recorded("demo", *THREE_TRIALS, **metadata)
    with pytest.raises(CloudtuneError, match="the metadata of experiment 'demo' do not tell what it optimises"):
        load_experiment("demo").best_config()


def test_one_name_is_not_read_letter_by_letter() -> None:
    """Names, mode and best configuration are those of the one metric."""
    recorded("demo", *THREE_TRIALS, metric_names="loss")
    experiment = load_experiment("demo")
    assert (experiment.metric_names(), experiment.metric_mode()) == (["loss"], "min")
    assert experiment.best_config()["loss"] == 0.4


@pytest.mark.parametrize("when", [None, "2024-01-01", [1.0], True, float("nan"), 10**400])
def test_a_time_that_is_none(when: Any) -> None:
    """It counts as the oldest, and hinders nobody; who asks for the date of just this one is told."""
    recorded("abc-odd", *THREE_TRIALS, st_tuner_creation_timestamp=when)
    recorded("abc-new", *THREE_TRIALS, st_tuner_creation_timestamp=2.0)
    recorded("abc-old", *THREE_TRIALS, st_tuner_creation_timestamp=1.0)
    assert begun_at({"st_tuner_creation_timestamp": when}) == begun_at({}) == 0.0
    assert [one.name for one in load_experiments("abc")] == ["abc-odd", "abc-old", "abc-new"]
    assert len(load_experiments_df("abc")) == 18


@pytest.mark.parametrize(
    "metadata", [{}, {"st_tuner_creation_timestamp": "then"}, {"st_tuner_creation_timestamp": 1e99}]
)
def test_a_date_that_is_not_told(metadata: dict[str, Any]) -> None:
    """The message names the experiment."""
    recorded("demo", *THREE_TRIALS)
    demo = load_experiment("demo")
    with pytest.raises(CloudtuneError, match="experiment 'demo' do not tell when it was begun"):
        ExperimentResult("demo", demo.results, metadata, demo.path).creation_date()


def test_texts() -> None:
    """Anything else is none."""
    metadata = {"a": "x", "b": ["x"], "c": None, "d": 1}
    assert [said_text(metadata, key) for key in "abcde"] == ["x", "", "", "", ""]
