"""Learning curves of trials: where they begin and break off, what is marked, and which run is shown."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cloudtune.errors import CloudtuneError
from cloudtune.experiments import ExperimentResult, PlotParameters, TrialsOfExperimentResults
from cloudtune.experiments.comparison.learning_curves import learning_curves
from cloudtune.experiments.comparison.plot_parameters import Over
from tests.experiments.comparison.made import made, of_rows

# Trial, time, decision, loss, epoch: one is stopped at the first rung, one pauses there and goes on, one runs through.
ROWS = [
    (0, 1.0, "STOP", 0.9, 1),
    (1, 1.5, "PAUSE", 0.7, 1),
    (2, 2.0, "CONTINUE", 0.6, 1),
    (2, 3.0, "CONTINUE", math.nan, 2),
    (2, 4.0, "CONTINUE", 0.4, 3),
    (1, 6.0, "CONTINUE", 0.6, 2),
    (1, 7.0, "PAUSE", 0.5, 3),
    (2, 8.0, "STOP", 0.3, 9),
]
ASHA: dict[str, Any] = {"method": "ASHA", "resource_attr": "epoch", "rung_levels": [1, 3], "max_t": 9}


def asha(name: str = "one", **metadata: Any) -> Any:
    keys = ("trial_id", "st_tuner_time", "st_decision", "loss", "epoch")
    return of_rows(name, [dict(zip(keys, values, strict=True)) for values in ROWS], **{**ASHA, **metadata})


def lines(axes: Axes) -> dict[str, list[list[float]]]:
    """What is drawn under each name; gaps are left out."""
    found: dict[str, list[list[float]]] = {}
    for line in axes.get_lines():
        points = np.asarray(line.get_xydata(), dtype=float)
        found.setdefault(str(line.get_label()), []).extend(points[~np.isnan(points).any(axis=1)].tolist())
    return found


def test_the_curves_of_an_experiment() -> None:
    """Each trial's fate, gaps where it was paused, rungs that it passed, and the best of all."""
    experiment = asha()
    shown = learning_curves(experiment, "ASHA", ("loss", 1.0), experiment.times(), "epoch")
    stopped, paused, through = shown.curves
    assert [curve.fate for curve in shown.curves] == ["stopped", "paused", "other"]
    assert [curve.end for curve in shown.curves] == [(1.0, 0.9), (7.0, 0.5), (8.0, 0.3)]
    assert paused.x.tolist() == pytest.approx([1.5, math.nan, 6.0, 7.0], nan_ok=True)
    assert paused.pauses == [(1.5, 0.7), (7.0, 0.5)]
    assert through.rungs == [(2.0, 0.6), (4.0, 0.4)]
    assert stopped.rungs == paused.rungs == []
    assert (shown.best, shown.best_point, shown.rung_levels) == (2, (8.0, 0.3), (1.0, 3.0))


def test_pauses_leave_no_gap_over_resource() -> None:
    """A trial goes on with the next epoch: only over time its line is broken."""
    experiment = asha()
    epochs = experiment.results["epoch"].to_numpy(dtype=float)
    shown = learning_curves(experiment, "ASHA", ("loss", 1.0), epochs, "epoch", breaks_at_pauses=False)
    assert shown.curves[1].x.tolist() == [1, 2, 3]
    over = {}
    for name in ("time", "resource"):
        parameters = PlotParameters(over=name)
        (axes,) = TrialsOfExperimentResults([experiment]).plot(plot_params=parameters).axes
        drawn = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()}
        over[name] = np.count_nonzero(np.isnan(drawn["paused, not resumed"]))
    assert over["time"] == over["resource"] + 1


def test_results_without_columns_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """As a filter of one's own may leave them: without decisions nothing is marked, without times it is passed over."""
    experiment = asha()
    experiment.results = experiment.results.drop(columns="st_decision")
    shown = learning_curves(experiment, "ASHA", ("loss", 1.0), experiment.times(), "epoch")
    assert [curve.fate for curve in shown.curves] == ["other"] * 3
    experiment.results = experiment.results.drop(columns="st_tuner_time")
    with pytest.raises(CloudtuneError, match="look at what was warned of"):
        TrialsOfExperimentResults([experiment]).plot()
    assert "because their results have no column 'st_tuner_time': 'one'" in caplog.text


def test_a_report_that_jumps_over_rungs_passes_them() -> None:
    """It is marked once."""
    experiment = of_rows("one", [{"st_tuner_time": 1.0, "loss": 1.0, "epoch": 5}], rung_levels=[1, 3, 9])
    (curve,) = learning_curves(experiment, "", ("loss", 1.0), experiment.times(), "epoch").curves
    assert curve.rungs == [(1.0, 1.0)]


def test_over_time() -> None:
    """A subplot for each setup, with the number of trials; marks for stops, pauses and rungs, and the best by name."""
    figure = TrialsOfExperimentResults([asha(), made("two", [(1, 3), (2, 2)])]).plot()
    first, second = figure.axes
    assert [first.get_title(), second.get_title()] == ["ASHA: 3 trials", "RS: 1 trial"]
    drawn = lines(first)
    assert drawn["stop"] == [[1.0, 0.9]]
    assert drawn["pause"] == [[1.5, 0.7], [7.0, 0.5]]
    assert drawn["rung passed"] == [[2.0, 0.6], [4.0, 0.4]]
    assert drawn["best trial"] == [[2.0, 0.6], [4.0, 0.4], [8.0, 0.3]]
    assert [text.get_text() for text in first.texts] == ["trial 2: 0.3"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("wall-clock time [s]", "loss")
    assert legend(figure) == ["best trial", "stopped early", "paused, not resumed", "stop", "pause", "rung passed"]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_over_resource() -> None:
    """Curves lie over one another, and rungs are lines, which a logarithmic axis has its numbers at."""
    parameters = PlotParameters(over="resource", xscale="log")
    (axes,) = TrialsOfExperimentResults([asha()]).plot(plot_params=parameters).axes
    upright = [line for line in axes.get_lines() if len(set(map(float, np.asarray(line.get_xdata())))) == 1]
    assert {1.0, 3.0} <= {float(np.asarray(line.get_xdata())[0]) for line in upright}
    assert axes.get_xlabel() == "epoch"
    assert list(axes.xaxis.get_major_locator()()) == [1, 3]
    assert "rung" in lines(axes)


def test_a_metric_to_maximise() -> None:
    """The best is the highest."""
    figure = TrialsOfExperimentResults([made("two", [(1, 3), (2, 2)], metric_mode="max")]).plot()
    assert [text.get_text() for text in figure.axes[0].texts] == ["trial 0: 3"]


def test_trials_that_diverge_do_not_decide_what_is_seen() -> None:
    """The axis ends where nineteen in twenty values lie."""
    experiment = made("one", [(number, 1e18 if number == 50 else 1.0 + number / 100) for number in range(100)])
    (axes,) = TrialsOfExperimentResults([experiment]).plot().axes
    assert axes.get_ylim()[1] < 3


def test_which_run_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """That with the seed; of runs without seeds, by place. A setup without it is named, and left out."""
    runs = [asha(f"a-{seed}", seed=seed) for seed in (3, 4)] + [made(f"r-{n}", [(1, n)]) for n in range(5)]
    results = TrialsOfExperimentResults(runs)
    figure = results.plot(seed=4)
    assert [axes.get_title() for axes in figure.axes] == ["ASHA: 3 trials", "RS: 1 trial"]
    assert lines(figure.axes[1])["best trial"] == [[1.0, 4.0]]
    with caplog.at_level(logging.WARNING):
        assert len(results.plot(seed=0).axes) == 1
    assert "setup 'ASHA' has no run with seed 0; its seeds are 3, 4" in caplog.messages
    with pytest.raises(CloudtuneError, match="no experiment with seed 9 is left to show: choose another with seed="):
        results.plot(seed=9)


def test_what_cannot_be_shown() -> None:
    """Each message says what would do."""
    results = TrialsOfExperimentResults([made("one", [(1, 1)], metric_names=["loss", "time"])])
    with pytest.raises(CloudtuneError, match="over='cost': choose 'time' or 'resource'"):
        results.plot(plot_params=PlotParameters(over="cost"))
    with pytest.raises(CloudtuneError, match=r"'one' does not tell .*resource_attr=.*over='time'"):
        results.plot(plot_params=PlotParameters(over="resource"))
    with pytest.raises(CloudtuneError, match="learning curves show one metric"):
        results.plot(plot_params=PlotParameters(metric=("loss", "time")))
    mixed = TrialsOfExperimentResults([asha(), made("two", [(1, 1)], metric_mode="max")])
    with pytest.raises(CloudtuneError, match="different metrics or modes"):
        mixed.plot()
    texts = of_rows("texts", [{"st_tuner_time": 1, "loss": 1.0, "epoch": "one"}], resource_attr="epoch")
    with pytest.raises(CloudtuneError, match="'texts' reports values of 'epoch' that are no numbers"):
        TrialsOfExperimentResults([texts]).plot()


def test_a_setup_that_cannot_be_shown(caplog: pytest.LogCaptureFixture) -> None:
    """It is named, and the others are shown; only where none can be, the message says why."""
    unreported = of_rows("u-1", [{"st_tuner_time": 1, "other": 1.0}], method="U", resource_attr="epoch")
    cases: list[tuple[Over, list[ExperimentResult]]] = [
        ("time", [unreported]),
        ("resource", [unreported, made("n-1", [(1, 1)], method="N")]),
    ]
    for over, others in cases:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            figure = TrialsOfExperimentResults([asha(), *others]).plot(plot_params=PlotParameters(over=over))
        assert [axes.get_title() for axes in figure.axes] == ["ASHA: 3 trials"]
        for other in others:
            (said,) = [
                text for text in caplog.messages if f"setup {other.metadata['method']!r} is passed over (" in text
            ]
            assert repr(other.name) in said
        with pytest.raises(CloudtuneError, match=r"^no report of experiment 'u-1' holds a number"):
            TrialsOfExperimentResults(others[:1]).plot(plot_params=PlotParameters(over=over))


def test_files(tmp_path: Path) -> None:
    """By the suffix, the same bytes each time; another suffix is refused."""
    results = TrialsOfExperimentResults([asha()])
    for name in ("one.svg", "two.svg", "one.pdf", "one.png"):
        results.plot(file_name=tmp_path / name, plot_params=PlotParameters(time_unit="h"))
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    with pytest.raises(CloudtuneError, match=r"must end with"):
        results.plot(file_name="curves.gif")
