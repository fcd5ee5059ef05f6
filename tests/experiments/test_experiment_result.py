"""Best configurations, and the pictures of an experiment."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from cloudtune.errors import CloudtuneError
from cloudtune.experiments import ExperimentResult, load_experiment
from tests.experiments.recorded import THREE_TRIALS, recorded, row, trial


@pytest.fixture(autouse=True)
def _no_figure_is_left() -> Any:
    yield
    plt.close("all")


def loaded(*entries: Any, **metadata: Any) -> ExperimentResult:
    recorded("demo", *entries, **metadata)
    return load_experiment("demo")


def test_the_best_configuration() -> None:
    """The report with the lowest loss: trial, metrics and configuration, as plain Python values."""
    best = loaded(*THREE_TRIALS).best_config()
    assert best == {"trial_id": 1, "loss": 0.4, "epoch": 2, "config_lr": 0.2, "config_width": 64}
    assert {type(value) for value in best.values()} == {int, float}


def test_the_best_of_each_metric() -> None:
    """Each metric has its own mode; metrics go by name or position."""
    experiment = loaded(*THREE_TRIALS, metric_names=["loss", "epoch"], metric_mode=["max", "min"])
    assert experiment.best_config()["loss"] == 0.9
    assert experiment.best_config("epoch")["epoch"] == 1
    assert experiment.best_config(1) == experiment.best_config("epoch")
    assert loaded(*THREE_TRIALS, metric_mode="max").best_config("loss")["loss"] == 0.9
    assert experiment.metric_names() == ["loss", "epoch"]
    assert experiment.metric_mode() == ["max", "min"]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_and_infinity_rank_worst(mode: str) -> None:
    """Neither is ever the best, of either sign."""
    bad = [math.nan, math.inf, -math.inf]
    entries = [row(number, 1.0, loss=value) for number, value in enumerate([*bad, 0.5, *bad])]
    assert loaded(*entries, metric_mode=mode).best_config()["trial_id"] == 3


@pytest.mark.parametrize("mode", ["min", "max"])
def test_only_bad_values(mode: str) -> None:
    """Where no value is a finite number there is no best one: the same is said as by the tuner."""
    for values in ([math.nan, math.nan], [math.inf, -math.inf], [math.nan, math.inf, -math.inf]):
        experiment = loaded(*(row(trial, 1.0, loss=value) for trial, value in enumerate(values)), metric_mode=mode)
        with pytest.raises(ValueError, match=r"'demo' has no result yet: no value of 'loss' so far is a finite number"):
            experiment.best_config()


def test_no_results_yet() -> None:
    """The message says what to do; every picture gives the same."""
    experiment = loaded(trial(0, lr=0.1))
    for act in (experiment.best_config, experiment.plot, experiment.plot_trials_over_time):
        with pytest.raises(CloudtuneError, match="'demo' has no results yet: wait until a trial has reported 'loss'"):
            act()


def test_metrics_that_are_not_there() -> None:
    """A name that is not optimised, or that no script reported as a number, is answered with those that would do."""
    experiment = loaded(*THREE_TRIALS, row(0, 9.0, note="x"))
    for wrong in ("epoch", 1, -1):
        with pytest.raises(ValueError, match=r"does not optimise .*choose one of its metrics \['loss'\]"):
            experiment.best_config(wrong)
    with pytest.raises(ValueError, match=r"no report .* holds a number 'note': choose one of .*'loss', 'epoch'"):
        experiment.plot_trials_over_time("note")
    renamed = loaded(row(0, 1.0, acc=1.0), metric_names=["accuracy"])
    with pytest.raises(ValueError, match=r"holds a number 'accuracy': choose one of .*'acc'"):
        renamed.best_config()


def test_creation_date() -> None:
    """When the experiment was begun, in UTC."""
    assert loaded().creation_date() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)


def test_the_best_so_far_is_a_falling_staircase() -> None:
    """The line holds each improvement at its time, and goes on to the last report; the axes say what they show."""
    axes = loaded(*THREE_TRIALS).plot(color="red", label="ours")
    (line,) = axes.get_lines()
    assert np.asarray(line.get_xydata()).tolist() == [[1.0, 0.9], [1.5, 0.7], [3.0, 0.4], [4.5, 0.4]]
    assert line.get_drawstyle() == "steps-post"
    assert (line.get_color(), line.get_label()) == ("red", "ours")
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == (
        "wall-clock time [s]",
        "best loss so far",
        "demo",
    )


def test_the_best_so_far_of_a_metric_to_maximise() -> None:
    """It rises; values that are no numbers do not show."""
    entries = [row(0, float(i), loss=value) for i, value in enumerate([math.nan, 1.0, math.inf, 3.0, 2.0])]
    (line,) = loaded(*entries, metric_mode="max").plot().get_lines()
    assert np.asarray(line.get_xydata()).tolist() == [[1.0, 1.0], [3.0, 3.0], [4.0, 3.0]]


def test_learning_curves() -> None:
    """One line for each trial, the best one named; where the scheduler stopped or paused a trial, there is a mark."""
    axes = loaded(*THREE_TRIALS).plot_trials_over_time()
    lines = [np.asarray(line.get_xydata()).tolist() for line in axes.get_lines()]
    assert lines == [
        [[1.0, 0.9], [2.0, 0.8]],
        [[1.5, 0.7], [3.0, 0.4], [4.5, 0.5]],
        [[2.5, 0.75]],
        [[2.0, 0.8]],
        [[2.5, 0.75]],
    ]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["trial 1 (best)", "stopped early", "paused"]
    assert axes.get_ylabel() == "loss"


def test_learning_curves_of_any_number() -> None:
    """Columns that are not optimised can be looked at too, without a best trial."""
    axes = loaded(*THREE_TRIALS).plot_trials_over_time("epoch", color="blue")
    assert axes.get_ylabel() == "epoch"
    assert not any("best" in str(line.get_label()) for line in axes.get_lines())


def test_figures_are_saved_and_closed(tmp_path: Path) -> None:
    """With a file name the picture lies there, and no window or memory is left behind however many are drawn."""
    experiment = loaded(*THREE_TRIALS)
    for number in range(22):
        experiment.plot(file_name=tmp_path / f"{number}.png")
    experiment.plot_trials_over_time(file_name=str(tmp_path / "curves.svg"))
    assert (tmp_path / "21.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()
    assert plt.get_fignums() == []


def test_drawing_into_given_axes(tmp_path: Path) -> None:
    """Several experiments can share axes, also those of a figure that pyplot does not know."""
    experiment = loaded(*THREE_TRIALS)
    axes = Figure().subplots()
    assert experiment.plot(ax=axes) is axes
    assert experiment.plot(ax=axes, file_name=tmp_path / "both.png") is axes
    assert len(axes.get_lines()) == 2
    assert (tmp_path / "both.png").exists()
    assert plt.get_fignums() == []


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the line to type."""
    experiment = loaded(*THREE_TRIALS)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(CloudtuneError, match=r"pip install 'cloudtune\[plot\]'"):
        experiment.plot()


def test_the_hypervolume_picture() -> None:
    """Two metrics, each in its own mode, from the worst values reported or a given corner."""
    entries = [
        row(0, float(i), loss=loss, acc=acc) for i, (loss, acc) in enumerate([(2, 1), (1, 1), (math.nan, 9), (2, 3)])
    ]
    experiment = loaded(*entries, metric_names=["loss", "acc"], metric_mode=["min", "max"])
    (line,) = experiment.plot_hypervolume(reference_point=(3, 0)).get_lines()
    assert np.asarray(line.get_xydata()).tolist() == [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0]]
    (line,) = experiment.plot_hypervolume(("acc", "loss")).get_lines()
    assert np.asarray(line.get_ydata()).tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="needs two metrics"):
        loaded(*THREE_TRIALS).plot_hypervolume()
    with pytest.raises(ValueError, match="reference_point must hold a number for each of"):
        experiment.plot_hypervolume(reference_point=(3, 0, 1))


def test_the_hypervolume_of_three_metrics() -> None:
    """All of them count, each in its own mode; of five it is refused."""
    names = ["loss", "acc", "size", "time", "money"]
    modes = ["min", "max", "min", "min", "min"]
    reports = [(2, 1, 1), (1, 1, 2), (0, 3, 0)]
    entries = [row(0, float(i), loss=loss, acc=acc, size=size) for i, (loss, acc, size) in enumerate(reports)]
    three = loaded(*entries, metric_names=names[:3], metric_mode=modes[:3])
    axes = three.plot_hypervolume(reference_point=(3, 0, 3))
    assert np.asarray(axes.get_lines()[0].get_ydata()).tolist() == [2.0, 3.0, 27.0]
    assert axes.get_ylabel() == "hypervolume of loss, acc, size"
    (line,) = three.plot_hypervolume(("size", "loss"), reference_point=(3, 3)).get_lines()
    assert np.asarray(line.get_ydata()).tolist() == [2.0, 3.0, 9.0]
    with pytest.raises(ValueError, match="needs two metrics, or up to 4"):
        loaded(*entries, metric_names=names, metric_mode=modes).plot_hypervolume()
