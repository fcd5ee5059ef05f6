"""Curves of known data by hand; what is missing, surplus or unfit is named."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import numpy as np
import pytest

from cloudtune.errors import CloudtuneError
from cloudtune.experiments import ExperimentResult, PlotParameters, SubplotParameters
from cloudtune.experiments.comparison.comparing import compare
from cloudtune.experiments.comparison.comparison import Comparison, Curve
from cloudtune.experiments.comparison.figure import draw_comparison
from cloudtune.experiments.comparison.plot_parameters import Over
from tests.experiments.comparison.made import made, of_rows

MEAN = PlotParameters(aggregate_mode="mean_and_ci")


def only_curve(comparison: Comparison) -> Curve:
    (panel,) = comparison.subplots
    (curve,) = panel.curves
    return curve


def shown(comparison: Comparison) -> dict[str, list[str]]:
    return {panel.title: [curve.setup for curve in panel.curves] for panel in comparison.subplots}


def test_a_mean_by_hand() -> None:
    """The curve begins where both runs have a value, and the last value of each stays."""
    runs = [made("a", [(1, 8), (3, 4), (5, 6)]), made("b", [(2, 6), (4, 7), (8, 2)])]
    curve = only_curve(compare(runs, MEAN))
    assert curve.runs == ("a", "b")
    assert curve.x.tolist() == [2, 3, 5, 8]
    assert curve.centre.tolist() == [7, 5, 5, 3]
    assert curve.counts.tolist() == [2, 2, 2, 2]
    error = 12.7062 * abs(4 - 6) / 2  # Student's t, times the standard error of two values
    assert (curve.upper[1], curve.lower[1]) == (pytest.approx(5 + error, abs=1e-3), pytest.approx(5 - error, abs=1e-3))
    assert curve.seen_until == 8


def test_an_interquartile_mean_by_hand() -> None:
    """Of eight runs, the two best and the two worst do not count."""
    runs = [made(str(number), [(1, loss)]) for number, loss in enumerate([1, 2, 3, 4, 5, 6, 100, 1000])]
    curve = only_curve(compare(runs))
    assert curve.centre.tolist() == [4.5]
    assert 1 < curve.lower[0] < 4.5 < curve.upper[0]
    assert compare(runs).caption == "Interquartile mean of 8 runs, with its 95 % bootstrap interval"


def test_medians_by_hand() -> None:
    """The middle run, and the quarters."""
    runs = [made(str(number), [(1, loss)]) for number, loss in enumerate([5, 1, 3, 2, 4])]
    curve = only_curve(compare(runs, PlotParameters(aggregate_mode="median_percentiles")))
    assert (curve.lower.tolist(), curve.centre.tolist(), curve.upper.tolist()) == ([2], [3], [4])


def test_a_metric_to_maximise() -> None:
    """Curves rise, bad values are no peaks, and lower is below upper."""
    runs = [
        made("a", [(1, 0.5), (2, math.inf), (3, 0.75)], metric_mode="max"),
        made("b", [(1, 0.25), (2, math.nan), (4, 0.5)], metric_mode="max"),
    ]
    comparison = compare(runs, PlotParameters(aggregate_mode="median_percentiles", metric_multiplier=100))
    curve = only_curve(comparison)
    assert comparison.mode == "max"
    assert curve.x.tolist() == [1, 3, 4]
    assert curve.centre.tolist() == [37.5, 50, 62.5]
    assert (curve.lower <= curve.centre).all()
    assert (curve.centre <= curve.upper).all()


def test_what_has_not_finished_is_cut() -> None:
    """What comes after the last report of a run whose tuner goes on is not known; the note names it."""
    runs = [made("a", [(1, 8), (3, 6)], finished=False), made("b", [(1, 4), (5, 2)])]
    comparison = compare(runs, MEAN)
    curve = only_curve(comparison)
    assert curve.x.tolist() == [1, 3, 5]
    assert curve.centre.tolist() == [6, 5, 2]
    assert curve.counts.tolist() == [2, 2, 1]
    assert "not finished, and counted up to the last report only: 'a'" in comparison.notes


@pytest.mark.parametrize(
    ("metadata", "goes_on"),
    [
        ({"st_finished_state": "finished"}, False),
        ({"st_finished_state": "failed"}, False),
        ({"st_finished_state": "interrupted", "st_finished_why": "interrupted by SIGTERM"}, True),
        ({"st_finished_why": "stopping criterion reached"}, False),
        ({"st_finished_why": "interrupted by SIGTERM"}, True),
        ({}, True),
    ],
)
def test_which_experiments_have_finished(metadata: dict[str, Any], goes_on: bool) -> None:
    """Also those of older versions, whose metadata have only the reason."""
    runs = [made("a", [(1, 8)], finished=False, **metadata), made("b", [(1, 4), (5, 2)])]
    assert only_curve(compare(runs, MEAN)).counts.tolist() == [2, 1 if goes_on else 2]


def test_a_run_that_only_diverges() -> None:
    """It is named, and does not poison the others."""
    runs = [made("a", [(1, math.nan), (2, math.inf)]), made("b", [(1, 4)])]
    comparison = compare(runs, MEAN)
    assert only_curve(comparison).centre.tolist() == [4]
    assert "passed over, because no value of the metric is a finite number below 1e+100: 'a'" in comparison.notes
    with pytest.raises(CloudtuneError, match=r"no experiment is left to compare: .*finite number below 1e.100: 'a'"):
        compare(runs[:1])


def test_over_trials_resource_and_cost() -> None:
    """The horizontal axis counts what was spent, and says so; an experiment that names no resource has the others'."""
    rows = [
        {"trial_id": 0, "st_tuner_time": 5, "loss": 9, "epoch": 1, "st_worker_cost": 0.1, "st_worker_iter": 0},
        {"trial_id": 1, "st_tuner_time": 6, "loss": 8, "epoch": 1, "st_worker_cost": 0.1, "st_worker_iter": 0},
        {"trial_id": 0, "st_tuner_time": 7, "loss": 7, "epoch": 4, "st_worker_cost": 0.5, "st_worker_iter": 1},
    ]
    runs = [of_rows("a", rows, resource_attr="epoch"), of_rows("b", rows)]
    for over, x, label in (
        ("time", [5, 6, 7], "wall-clock time [s]"),
        ("trials", [1, 2], "trials with results"),
        ("resource", [1, 2, 5], "epoch of all trials together"),
        ("cost", [0.1, 0.2, 0.6], "cost of the trials [US dollars]"),
    ):
        comparison = compare(runs, PlotParameters(over=over))  # type: ignore[arg-type]
        assert only_curve(comparison).x.tolist() == pytest.approx(x)
        assert comparison.xlabel == label
    minutes = compare(runs, PlotParameters(time_unit="min"))
    assert only_curve(minutes).x.tolist() == pytest.approx([5 / 60, 6 / 60, 7 / 60])


@pytest.mark.defect("E8")
def test_hypervolume_over_time() -> None:
    """Two metrics: what they dominate, to the worst corner of all experiments, or to the one that is given."""
    rows = [{"st_tuner_time": t, "loss": loss, "acc": acc} for t, loss, acc in [(1, 2, 1), (2, 1, 2), (3, 3, 0)]]
    other = [{"st_tuner_time": t, "loss": loss, "acc": acc} for t, loss, acc in [(1, math.nan, 9), (2, 1, 1)]]
    metadata: dict[str, Any] = {"metric_names": ["loss", "acc"], "metric_mode": ["min", "max"]}
    runs = [of_rows("a", rows, **metadata), of_rows("b", other, method="ASHA", **metadata)]
    comparison = compare(runs, PlotParameters(metric=("loss", "acc")))
    (panel,) = comparison.subplots
    asha, random_search = panel.curves
    assert (random_search.x.tolist(), random_search.centre.tolist()) == ([1, 2, 3], [1, 4, 4])
    assert (asha.x.tolist(), asha.centre.tolist()) == ([2, 3], [2, 2])
    assert (comparison.mode, comparison.ylabel) == ("max", "hypervolume of loss and acc")
    larger = compare(runs, PlotParameters(metric=("loss", "acc"), reference_point=(4, 0)))
    assert larger.subplots[0].curves[1].centre.tolist() == [2, 6, 6]
    single = compare(runs, PlotParameters(metric="acc"))
    assert single.subplots[0].curves[1].centre.tolist() == [1, 2, 2]
    with pytest.raises(CloudtuneError, match=r"reference_point=\(4, 0, 1\) must hold a number for each of"):
        compare(runs, PlotParameters(metric=("loss", "acc"), reference_point=(4, 0, 1)))


def test_hypervolume_of_three_metrics() -> None:
    """More metrics make a volume; of five it is refused."""
    reports = [(1, 2, 1, 5), (2, 1, 2, 4), (3, 0, 3, 3)]
    rows = [{"st_tuner_time": t, "loss": loss, "acc": acc, "size": size} for t, loss, acc, size in reports]
    metadata: dict[str, Any] = {"metric_names": ["loss", "acc", "size"], "metric_mode": ["min", "max", "min"]}
    parameters = PlotParameters(metric=("loss", "acc", "size"), reference_point=(3, 0, 6))
    comparison = compare([of_rows("a", rows, **metadata)], parameters)
    assert only_curve(comparison).centre.tolist() == [1, 8, 27]
    assert (comparison.mode, comparison.ylabel) == ("max", "hypervolume of loss, acc and size")
    with pytest.raises(CloudtuneError, match="names 5 metrics; choose one, or two to 4"):
        compare([of_rows("a", rows, **metadata)], PlotParameters(metric=("a", "b", "c", "d", "e")))


@pytest.mark.parametrize(
    ("over", "number", "said"),
    [
        ("cost", "st_worker_cost", "has no report that holds a number 'st_worker_cost'"),
        ("resource", "epoch", "has no report that holds a number 'epoch'"),
    ],
)
def test_some_that_do_not_tell_what_they_spent(over: Over, number: str, said: str) -> None:
    """They are passed over, and named; only where nobody tells it there is nothing to compare."""
    tells = of_rows("tells", [{"st_tuner_time": 1, "loss": 0.5, number: 2.0}], resource_attr="epoch")
    silent = [made(name, [(1, 0.25)], resource_attr="epoch") for name in ("one", "two")]
    comparison = compare([*silent, tells], PlotParameters(over=over))
    (curve,) = comparison.subplots[0].curves
    assert (curve.runs, curve.x.tolist(), curve.centre.tolist()) == (("tells",), [2.0], [0.5])
    assert f"passed over, because each {said}: 'one', 'two'" in comparison.notes
    with pytest.raises(CloudtuneError, match=f"'one' {said}"):
        compare(silent, PlotParameters(over=over))


def test_numbers_that_no_mean_can_be_made_of() -> None:
    """Finite, and so large that their sums are not: they count as infinite ones do."""
    of = [made(f"RS-{seed}", [(1, 1e308), (2, 0.5), (3, -1e308)], seed=seed) for seed in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (curve,) = compare(of).subplots[0].curves
        draw_comparison(compare(of)).draw_without_rendering()
    assert (curve.x.tolist(), curve.centre.tolist()) == ([2.0, 3.0], [0.5, 0.5])
    points = [{"st_tuner_time": time, "a": a, "b": 1.0} for time, a in enumerate((-1e308, 1.0, 0.5, 1e308, 0.0))]
    area = compare(
        [of_rows("both", points, metric_names=["a", "b"])], PlotParameters(metric=("a", "b"), reference_point=(2, 2))
    )
    assert only_curve(area).centre.tolist() == [1.0, 1.5, 2.0]


def test_usual_groups() -> None:
    """By what differs: methods, numbers of workers, or a subplot for each method."""
    of = [
        made(f"{method}-{workers}", [(1, 1)], method=method, n_workers=workers)
        for method in ("RS", "ASHA")
        for workers in (10, 2, 1)
    ]
    assert shown(compare([of[0], of[3]])) == {"": ["ASHA", "RS"]}
    assert shown(compare(of[:3])) == {"": ["1 worker", "2 workers", "10 workers"]}
    workers = ["1 worker", "2 workers", "10 workers"]
    assert shown(compare(of)) == {"ASHA": workers, "RS": workers}
    assert shown(compare([of[0], of[4]])) == {"": ["ASHA, 2 workers", "RS, 10 workers"]}
    everything = shown(compare(of, metadata_to_subplot=lambda _: 0))
    assert everything[""][:2] == ["ASHA, 1 worker", "ASHA, 2 workers"]


def test_groups_of_ones_own() -> None:
    """Functions of the metadata choose setup and subplot, None leaves out; titles go by number."""
    of = [made(f"{m}-{w}", [(1, 1)], method=m, n_workers=w) for m in ("RS", "BO", "ASHA") for w in (2, 4)]
    comparison = compare(
        of,
        PlotParameters(subplots=SubplotParameters(titles=["random search", "nobody", "ASHA"])),
        metadata_to_setup=lambda metadata: f"{metadata['n_workers']} workers",
        metadata_to_subplot=lambda metadata: {"RS": 0, "ASHA": 2}.get(metadata["method"]),
        setups=["4 workers", "2 workers"],
    )
    assert shown(comparison) == {"random search": ["4 workers", "2 workers"], "ASHA": ["4 workers", "2 workers"]}
    assert [panel.index for panel in comparison.subplots] == [0, 2]


def test_subplots_by_number_or_title() -> None:
    """Numbers of any integer type are places, if titles or a shape tell of which; else only their order counts.

    Titles stand in order; a negative number is refused.
    """
    of = [made(method, [(1, 1)], method=method) for method in ("RS", "BO")]
    places = {"RS": np.int64(2), "BO": np.int64(0)}
    for subplots, expected in (
        (SubplotParameters(titles=["BO", "?", "RS"]), [0, 2]),
        (SubplotParameters(ncols=3), [0, 2]),
        (SubplotParameters(legend_no=2), [0, 2]),
        (SubplotParameters(kwargs={"sharey": False}), [0, 1]),
    ):
        parameters = PlotParameters(subplots=subplots)
        by_number = compare(of, parameters, metadata_to_subplot=lambda metadata: places[metadata["method"]])
        assert [panel.index for panel in by_number.subplots] == expected
    mixed = compare(of, metadata_to_subplot=lambda metadata: 5 if metadata["method"] == "RS" else "x")
    assert [(panel.index, panel.title) for panel in mixed.subplots] == [(0, "5"), (1, "x")]
    with pytest.raises(CloudtuneError, match="gives the number -1; subplots are numbered from 0"):
        compare(of, metadata_to_subplot=lambda _: -1)


def seeds(setup: str, *numbers: int) -> list[ExperimentResult]:
    return [made(f"{setup}-{place}", [(1, 1)], method=setup, seed=seed) for place, seed in enumerate(numbers)]


def test_missing_and_surplus_runs_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """How many there are of how many, which seeds, and which experiments; as warnings, and in the notes."""
    runs = [*seeds("RS", 0, 2), *seeds("BO", 0, 1, 2), *seeds("ASHA", 0, 1, 2, 2)]
    with caplog.at_level(logging.WARNING):
        comparison = compare(runs, num_runs=3)
    assert comparison.notes == (
        "setup 'ASHA' has 4 runs where 3 are expected: 1 too many among 'ASHA-0', 'ASHA-1', 'ASHA-2', 'ASHA-3'",
        "setup 'ASHA' has several runs with the same seed: 'ASHA-2', 'ASHA-3'",
        "setup 'RS' has 2 runs (seeds 0, 2) where 3 are expected: 1 missing, seed 1",
    )
    assert [record.message for record in caplog.records] == list(comparison.notes)
    assert comparison.caption.startswith("Interquartile mean of 2 to 4 runs")
    assert compare(runs[:5]).notes == ("setups have different numbers of runs: setup 'BO' 3, setup 'RS' 2",)
    assert compare(seeds("RS", 0, 1, 2), num_runs=3).notes == ()


def test_setups_that_are_not_there_and_others() -> None:
    """Those without experiments are named, and those that were left out; none at all is an error with what there is."""
    runs = [*seeds("RS", 0), *seeds("BO", 0)]
    comparison = compare(runs, setups=["BO", "Bayesian"])
    assert shown(comparison) == {"": ["BO"]}
    assert comparison.notes == (
        "no experiment belongs to the setups 'Bayesian'",
        "left out, because setups= does not name them: 'RS'",
    )
    with pytest.raises(CloudtuneError, match="to the setups 'ASHA': there are 'BO', 'RS'; look at setups="):
        compare(runs, setups=["ASHA"])
    with pytest.raises(CloudtuneError, match="names a setup twice"):
        compare(runs, setups=["BO", "BO"])


def test_different_metrics_are_refused() -> None:
    """The sentence names the experiments, their metrics and modes, and the way out."""
    runs = [made("a", [(1, 1)]), made("b", [(1, 1)], metric_mode="max"), made("c", [(1, 1)], metric_names=["error"])]
    with pytest.raises(CloudtuneError) as caught:
        compare(runs)
    assert str(caught.value) == (
        "experiments with different metrics or modes cannot be compared: choose one that all have with "
        "PlotParameters(metric=...), or leave experiments out with experiment_filter= (loss (min): 'a'; loss (max): "
        "'b'; error (min): 'c')"
    )
    with pytest.raises(CloudtuneError, match=r"'c' does not optimise 'loss': choose one of its metrics \['error'\]"):
        compare([runs[0], runs[2]], PlotParameters(metric="loss"))
    with pytest.raises(CloudtuneError) as nowhere:
        compare(runs[:1], PlotParameters(metric="nope"))
    assert str(nowhere.value) == "experiment 'a' does not optimise 'nope': choose one of its metrics ['loss']"
    with pytest.raises(CloudtuneError, match="names one metric twice"):
        compare(runs[:1], PlotParameters(metric=("loss", "loss")))
    both = made("d", [(1, 1)], metric_names=["other", "loss"])
    assert only_curve(compare([runs[0], both], PlotParameters(metric="loss"))).runs == ("a", "d")


def test_empty_and_half_written_results_are_passed_over() -> None:
    """By name, with the reason; the others are compared."""
    good = made("good", [(1, 1)])
    empty = made("empty", [])
    vague = made("vague", [(1, 1)], metric_names=None)
    unreported = of_rows("unreported", [{"st_tuner_time": 1, "accuracy": 1}])
    texts = of_rows("texts", [{"st_tuner_time": 1, "loss": "high"}])
    comparison = compare([good, empty, vague, unreported, texts])
    assert only_curve(comparison).runs == ("good",)
    notes = "\n".join(comparison.notes)
    for expected in (
        "passed over, because they have no results yet: 'empty'",
        "passed over, because their metadata do not say what was optimised (they have no 'metric_names'): 'vague'",
        "passed over (no report of experiment 'unreported' holds a number 'loss'",
        "passed over (no report of experiment 'texts' holds a number 'loss'",
    ):
        assert expected in notes
    with pytest.raises(CloudtuneError, match=r"no experiment is left to compare: passed over, .*no results yet"):
        compare([empty])
    with pytest.raises(CloudtuneError, match="there are no experiments to compare"):
        compare([])


def test_results_of_older_versions() -> None:
    """Without method, workers, resource and state in the metadata, and without costs in the results."""
    metadata = {"method": None, "n_workers": None, "scheduler_name": "ASHA"}
    old = made("old", [(1, 2), (2, 1)], finished=False, st_finished_why="nothing left to suggest", **metadata)
    comparison = compare([old])
    assert shown(comparison) == {"": ["ASHA"]}
    assert comparison.notes == ()


def test_metadata_without_a_key() -> None:
    """A function that asks for what an experiment does not have leaves it out, by name; other errors are its own."""
    runs = [made("a", [(1, 1)], seed=1), made("b", [(1, 1)])]
    comparison = compare(runs, metadata_to_setup=lambda metadata: f"seed {metadata['seed']}")
    assert shown(comparison) == {"": ["seed 1"]}
    assert comparison.notes[0] == "passed over, because their metadata have no 'seed': 'b'"
    with pytest.raises(ZeroDivisionError):
        compare(runs, metadata_to_setup=lambda _: str(1 / 0))
    with pytest.raises(CloudtuneError, match=r"no experiment is left to compare: .* each of 2 out \(of method 'RS'"):
        compare(runs, metadata_to_setup=lambda _: None)


def test_a_function_that_does_not_know_an_experiment() -> None:
    """As a list that its method is not in: it is left out, by name, with what was said."""
    runs = [made("a", [(1, 1)]), made("b", [(1, 1)], method="BO")]
    comparison = compare(runs, metadata_to_subplot=lambda metadata: ["RS"].index(metadata["method"]))
    assert [curve.runs for panel in comparison.subplots for curve in panel.curves] == [("a",)]
    assert "'BO' is not in list" in comparison.notes[0]
    assert comparison.notes[0].endswith(": 'b'")


def test_seeds_that_are_missing() -> None:
    """They are named where the others tell which were to be run."""
    runs = [made(f"a{seed}", [(1, 1)], seed=seed) for seed in (3, 5)]
    runs += [made(f"b{seed}", [(1, 1)], seed=seed, method="BO") for seed in (3, 4, 5)]
    (note,) = compare(runs, num_runs=3).notes
    assert note == "setup 'RS' has 2 runs (seeds 3, 5) where 3 are expected: 1 missing, seed 4"


def test_benchmarks() -> None:
    """One is compared at a time: the only one there is, or the one that is asked for."""
    runs = [made("a", [(1, 1)], benchmark="one"), made("b", [(1, 1)], benchmark="two"), made("c", [(1, 1)])]
    assert compare(runs[:1]).benchmark == "one"
    assert only_curve(compare(runs, benchmark_name="two")).runs == ("b",)
    with pytest.raises(CloudtuneError, match="of several benchmarks: choose one of 'one', 'two' with benchmark_name="):
        compare(runs)
    with pytest.raises(CloudtuneError, match="is of benchmark 'three'; those there are of 'one', 'two'"):
        compare(runs, benchmark_name="three")
    with pytest.raises(CloudtuneError, match="is of benchmark 'one'; their metadata have no 'benchmark'"):
        compare(runs[2:], benchmark_name="one")


def test_runs_that_are_never_there_at_once() -> None:
    """Where less than half go on when the last begins, there is no curve, and the note says so."""
    runs = [made(str(number), [(number, 1)], finished=False) for number in range(5)]
    other = made("other", [(0, 1)], method="BO")
    comparison = compare([*runs, other])
    assert shown(comparison) == {"": ["BO"]}
    assert "no curve for setup 'RS': where all of its runs have begun, less than half go on" in comparison.notes


def test_as_json() -> None:
    """All of it is plain JSON; what is not known is null."""
    import json

    told = compare([made("a", [(1, 8), (3, 4)])], MEAN).as_object()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    (curve,) = told["subplots"][0]["curves"]
    assert (curve["x"], curve["centre"], curve["lower"]) == ([1, 3], [8, 4], [None, None])
