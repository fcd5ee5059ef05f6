"""The data from which curves are drawn."""

from __future__ import annotations

from cloudtune.experiments.report.curves import DETAILS, Detail, experiment_data
from cloudtune.experiments.report.study import ReportedTrial
from tests.experiments.report.studies import curve, experiment, metadata, row


def test_trials_curves_and_the_best_so_far() -> None:
    """Each trial with its curve over time and resource, where it was stopped, and the best value wherever it falls."""
    assert experiment_data(experiment(), DETAILS[0]) == {
        "metrics": [["loss", "min"]],
        "resource": "epoch",
        "rungs": [1.0, 3.0],
        "config": ["lr"],
        "trials": [
            [0, "Completed", 3, 0.25, 0.25, [0.5]],
            [1, "Stopped", 1, 0.95, 0.5, [0.125]],
            [2, "Failed", 0, None, None, [0.75]],
        ],
        "curves": [
            [0, "CONTINUE", [1, 2, 3], [1, 2, 3], [[0.9, 0.5, 0.25]], []],
            [1, "STOP", [1.5], [1], [[0.95]], []],
        ],
        "best": [[[1, 2, 3, 4], [0.9, 0.5, 0.25, 0.25]]],
        "left_out": [0, 0],
    }


def test_less_detail_keeps_what_matters() -> None:
    """The best trials stay, and of a curve its ends and its best point; what is left out is counted."""
    trials = [ReportedTrial(number, "Completed", {"lr": number}) for number in range(4)]
    rows = [
        *curve(50),
        row(1, 60.0, loss=0.5, epoch=1),
        row(2, 61.0, loss=3.0, epoch=1),
        row(2, 62.0, loss=2.0, epoch=2),
    ]
    data = experiment_data(experiment(rows=rows, trials=trials), Detail(points=6, trials=2))
    assert [trial[0] for trial in data["trials"]] == [0, 1]
    (_, _, times, levels, (values,), _), _ = data["curves"]
    assert (times[0], times[-1], len(times) <= 6) == (0, 49, True)
    assert values[times.index(48)] == 0
    assert levels == times
    assert data["left_out"] == [len(rows) - len(times) - 1, 2]
    assert data["best"] == [[[0, 48, 62], [1, 0, 0]]]


def test_the_order_in_which_results_arrive_is_that_of_the_curves() -> None:
    """Reports of several trials are mixed in the table of results; each curve has its own."""
    rows = [row(5, 1.0, loss=3.0), row(3, 2.0, loss=2.0), row(5, 3.0, loss=1.0), row(3, 4.0, loss=0.5)]
    trials = [ReportedTrial(3, "Completed", {}), ReportedTrial(5, "Completed", {})]
    data = experiment_data(experiment(rows=rows, trials=trials, said=metadata(resource_attr=None)), DETAILS[0])
    assert [[data["trials"][one[0]][0], *one[1:]] for one in data["curves"]] == [
        [3, "CONTINUE", [2, 4], None, [[2, 0.5]], []],
        [5, "CONTINUE", [1, 3], None, [[3, 1]], []],
    ]


def test_pauses_are_marked_however_few_points_there_are() -> None:
    """Where a trial was paused and went on; that it is paused now, its last decision tells."""
    rows = curve(40)
    for number in (5, 20, 39):
        rows[number]["st_decision"] = "PAUSE"
    data = experiment_data(experiment(rows=rows, trials=[ReportedTrial(0, "Paused", {})]), Detail(points=4, trials=1))
    ((_, decision, times, _, _, pauses),) = data["curves"]
    assert (decision, [times[point] for point in pauses]) == ("PAUSE", [5, 20])
    assert data["left_out"] == [40 - len(times), 0]


def test_constants_of_configurations_are_not_repeated() -> None:
    """Only what differs between trials tells them apart; a single trial is shown with everything."""
    trials = [
        ReportedTrial(0, "Completed", {"a": 1, "b": [1], "c": None}),
        ReportedTrial(1, "Completed", {"a": 1, "b": [2]}),
    ]
    assert experiment_data(experiment(trials=trials), DETAILS[0])["config"] == ["b", "c"]
    assert experiment_data(experiment(trials=trials), DETAILS[0])["trials"][1][5] == ["[2]", None]
    assert experiment_data(experiment(trials=trials[:1]), DETAILS[0])["config"] == ["a", "b", "c"]


def test_long_texts_are_cut() -> None:
    """A configuration may hold a whole prompt: it does not fill the page."""
    trials = [ReportedTrial(number, "Completed", {"prompt": f"{number}" * 10_000}) for number in range(2)]
    (first, _) = experiment_data(experiment(trials=trials), DETAILS[0])["trials"]
    assert len(first[5][0]) < 100
