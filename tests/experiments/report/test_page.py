"""The whole page: complete, self-contained, escaped, the same for the same study."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.quantities import NOTHING
from cloudtune.experiments.report.page import render_page
from cloudtune.experiments.report.study import ReportedTrial
from tests.experiments.report.studies import HOSTILE, TRIALS, Page, check, experiment, metadata, row, study


def four() -> Any:
    """Two methods with two seeds each."""
    return study(
        *(
            experiment(f"demo-digits-{method}-w4-{seed}", said=metadata(method=method, seed=seed))
            for method in ("ASHA", "RS")
            for seed in (0, 1)
        ),
        place="in s3://bucket/cloudtune/demo/",
        commands=["cloudtune launch --experiment_tag demo --benchmark digits"],
    )


def test_a_study_is_shown_with_all_that_is_known() -> None:
    """Every experiment, its best configuration, cost, failures with their last lines, the plan and the commands."""
    page = Page.of(four())
    check(page)
    rows = page.table("experiment")
    best = page.table("benchmark")[0]
    assert (best["value"], best["trial"], best["configuration"]) == ("0.25", "0", "lr=0.5, epochs=3")
    names = [f"demo-digits-{method}-w4-{seed}" for method in ("ASHA", "RS") for seed in (0, 1)]
    assert [one["experiment"] for one in rows] == names
    assert rows[0] == {
        "experiment": names[0],
        "benchmark": "digits",
        "method": "ASHA",
        "workers": "4",
        "seed": "0",
        "state": "finished",
        "best value": "loss 0.25",
        "its configuration": "lr=0.5, epochs=3",
        "time": "4 s",
        "cost": "$0.75",
        "done": "1",
        "stopped": "1",
        "failed": "1",
        "reports": "4",
        "begun": "2026-05-28 20:26 UTC",
    }
    assert page.text.count("RuntimeError: too hot") == len(names)
    assert "cloudtune launch --experiment_tag demo --benchmark digits" in page.text
    assert "cloudtune report demo" in page.text
    assert "loguniform(0.001, 1.0)" in page.text
    assert "s3://bucket/cloudtune/demo/" in page.text
    assert [one for one in page.data if one.startswith("data-")] == ["data-0", "data-1", "data-2", "data-3"]


def test_cost_is_told_for_each_method_with_its_tuners() -> None:
    """What trials and tuners have cost, and their sum; what is not known is not made up."""
    page = Page.of(
        study(
            experiment("a", tuner_cost=0.25),
            experiment("b", tuner_cost=0.75),
            experiment("c", said=metadata(method="RS"), cost=None),
        )
    )
    found = next(table for table in page.tables if "tuners' cost" in table[0])
    asha, rs, everything = [dict(zip(found[0], one, strict=True)) for one in found[1:]]
    assert (asha["trials' cost"], asha["tuners' cost"], asha["total"], asha["each"]) == (
        "$1.50",
        "$1.00",
        "$2.50",
        "$1.25",
    )
    assert (rs["trials' cost"], rs["total"]) == (NOTHING, NOTHING)
    assert (everything["benchmark"], everything["total"]) == ("all", "$2.50")
    assert "$2.50" in page.text.partition("cost")[0]


def test_experiments_that_did_not_end_in_order_are_named() -> None:
    """With their state and why, and what of their logs is lost; those that run or are finished are not."""
    page = Page.of(
        study(
            experiment("good", trials=TRIALS[:2]),
            experiment("bad", trials=TRIALS[:2], state="interrupted", why="Ctrl-C"),
            experiment("torn", trials=TRIALS[:2], damage="entries 5 to 9 are lost"),
        )
    )
    check(page)
    found = next(table for table in page.tables if table[0] == ["experiment", "state", "why", "damage"])
    assert found[1:] == [["bad", "interrupted", "Ctrl-C", ""], ["torn", "finished", "met", "entries 5 to 9 are lost"]]
    assert "Failed trials" not in page.text
    fine = Page.of(study(experiment("good", trials=TRIALS[:2])))
    assert "No trial has failed" in fine.text


def test_the_same_study_gives_the_same_page() -> None:
    """Nothing of the moment, of hash seeds or of the machine is in it."""
    assert render_page(four()) == render_page(four())


def test_browsers_are_told_to_run_nothing_but_the_script_of_the_page() -> None:
    """The policy names the hashes of the only style and the only script, and allows no address to load from."""
    page = Page.of(four())
    (script,) = page.scripts
    style = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    policy = str(page.attributes("meta")[1]["content"])
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (*style, script)
    ]
    assert policy == (
        f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; base-uri 'none'; form-action 'none'"
    )


def hostile_study(text: str) -> Any:
    """A study whose every text from outside is this one."""
    trial = ReportedTrial(0, "Failed", {text: text, "x": [text], "y": {text: text}}, reason=f"{text}\n{text}\n{text}")
    other = ReportedTrial(1, "Completed", {text: "other"})
    said = metadata(
        benchmark=text, method=text, seed=text, backend=text, entrypoint=text, metric_names=[text], resource_attr=text,
        random_seed=text, cloudtune_version=text, scheduler_name=text, config_space={text: text}, st_limits={text: 1},
        searcher_settings={text: [text]},
    )  # fmt: skip
    rows = [{**row(0, 1.0, text), text: 0.5}, {**row(1, 2.0), text: 0.25}]
    one = experiment(text, rows, [trial, other], said, state=text, why=text, damage=text)
    plan = {"methods": [text], "benchmarks": [text], "n_workers": [4], "settings": {text: text}}
    return study(one, name=text, place=text, plans=[plan], waiting={text: text}, commands=[text], notes=[text])


def test_nothing_from_outside_becomes_markup() -> None:
    """Names, configurations, failures, plans: shown as they are, without a single element of theirs."""
    usual = Page.of(hostile_study("plain"))
    page = Page.of(hostile_study(HOSTILE))
    check(page)
    assert [name for name, _ in page.elements] == [name for name, _ in usual.elements]
    assert page.text.count("onload=x") == usual.text.count("plain")
    assert page.data["data-0"]["config"][0] == HOSTILE


@given(st.text(min_size=1))
def test_no_text_at_all_tears_the_page(text: str) -> None:
    """Whatever unicode there is: the page can be written as UTF-8, is valid, and its data can be read."""
    page = render_page(hostile_study(text))
    check(Page(page.encode().decode()))


def test_an_empty_study_has_a_page() -> None:
    """Launched, and nothing has begun: what is waiting is named."""
    page = Page.of(study())
    check(page)
    assert "There are no experiments yet." in page.text
    page = Page.of(study(waiting={"demo-digits-RS-w4-0": "waiting"}))
    check(page)
    (one,) = page.table("experiment")
    assert (one["experiment"], one["state"], one["best value"]) == ("demo-digits-RS-w4-0", "waiting", NOTHING)
    assert "still to come" in page.text


def test_an_experiment_without_reports_has_its_row() -> None:
    """Its trials are running, or all have failed: no best value, no curve, and no error."""
    page = Page.of(study(experiment(rows=[], trials=[ReportedTrial(0, "InProgress", {"lr": 0.5})], state="running")))
    check(page)
    (one,) = page.table("experiment")
    assert (one["state"], one["others"], one["reports"], one["best value"]) == ("running", "1", NOTHING, NOTHING)
    assert page.data["data-0"]["curves"] == []
    assert len(page.data["data-0"]["trials"]) == 1


def test_an_experiment_of_which_nothing_is_known_has_its_row() -> None:
    """Its tuner died before it wrote anything, or an old version wrote it: names and states are shown all the same."""
    page = Page.of(study(experiment(rows=[], trials=[], said={}, state="unfinished", why="", cost=None)))
    check(page)
    assert page.table("experiment")[0]["state"] == "unfinished"


@pytest.mark.parametrize("value", [None, 3, "loss", [], {}, [None], float("nan"), True])
@pytest.mark.parametrize("key", sorted(metadata()))
def test_metadata_of_another_form_are_no_error(key: str, value: Any) -> None:
    """What others have written, or an older version, may be of any type."""
    check(Page.of(study(experiment(said=metadata(**{key: value})))))


def test_the_best_of_a_metric_to_maximise_is_the_largest() -> None:
    """In the table, at the top, and on the curve."""
    rows = [row(0, 1.0, accuracy=0.5), row(1, 2.0, accuracy=0.75), row(0, 3.0, accuracy=0.625)]
    page = Page.of(study(experiment(rows=rows, said=metadata(metric_names=["accuracy"], metric_mode="max"))))
    check(page)
    assert page.table("experiment")[0]["best value"] == "accuracy 0.75"
    assert page.table("benchmark")[0]["configuration"] == "lr=0.125, epochs=3"
    assert page.data["data-0"]["best"] == [[[1, 2, 4], [0.5, 0.75, 0.75]]]


def test_several_metrics_are_all_shown() -> None:
    """Each has its best value and its curves, and both together their hypervolume."""
    rows = [
        row(0, 1.0, loss=0.5, seconds=9.0),
        row(1, 2.0, loss=0.25, seconds=8.0),
        row(0, 3.0, loss=0.75, seconds=3.0),
    ]
    said = metadata(metric_names=["loss", "seconds"], metric_mode=["min", "max"])
    page = Page.of(study(experiment(rows=rows, said=said)))
    check(page)
    assert [(one["metric"], one["value"]) for one in page.table("benchmark")] == [
        ("loss (min)", "0.25"),
        ("seconds (max)", "9"),
    ]
    data = page.data["data-0"]
    assert data["metrics"] == [["loss", "min"], ["seconds", "max"]]
    assert data["best"][1] == [[1, 4], [9, 9]]
    metrics = {view["metric"] for view in page.data["comparison-0"]}
    assert metrics == {"loss", "seconds", "loss and seconds"}


def test_values_that_are_no_numbers_are_left_out() -> None:
    """NaN and infinite values are never the best, and the curve has a gap there."""
    rows = [
        row(0, 1.0, loss=float("nan")),
        row(0, 2.0, loss=float("-inf")),
        row(0, 3.0, loss=0.5),
        row(0, 4.0, loss="?"),
    ]
    page = Page.of(study(experiment(rows=rows)))
    check(page)
    assert page.table("experiment")[0]["best value"] == "loss 0.5"
    assert page.data["data-0"]["curves"][0][4] == [[None, None, 0.5, None]]
    nothing = Page.of(study(experiment(rows=[row(0, 1.0, loss=float("nan"))])))
    check(nothing)
    assert nothing.table("experiment")[0]["best value"] == NOTHING


def test_experiments_that_cannot_be_compared_are_said_so() -> None:
    """Different metrics on one benchmark: the comparison says why there is none, the rest of the page is there."""
    other = [row(0, 1.0, error=0.5)]
    page = Page.of(study(experiment(), experiment("other", rows=other, said=metadata(metric_names=["error"]))))
    check(page)
    assert "different metrics" in page.text
    assert len(page.table("experiment")) == 2


def test_reruns_of_the_winner_are_no_runs_of_a_method() -> None:
    """They stand in the table, and not among the repetitions that are compared, but with a mean of their own."""
    rows = [row(0, 1.0, loss=0.25), row(1, 2.0, loss=0.5), row(1, 3.0, loss=0.75), row(2, 4.0, loss=0.01)]
    trials = [ReportedTrial(0, "Completed", {}), ReportedTrial(1, "Completed", {}), ReportedTrial(2, "InProgress", {})]
    said = metadata(rerun_of="demo-digits-ASHA-w4-0", rerun_trial=0, rerun_value=0.125)
    page = Page.of(study(experiment(), experiment("again", rows, trials, said)))
    check(page)
    assert page.table("benchmark")[0]["value"] == "0.25"
    assert page.table("run again") == [
        {
            "run again": "again",
            "of": "demo-digits-ASHA-w4-0",
            "trial": "0",
            "metric": "loss",
            "in the study": "0.125",
            "runs": "2",
            "mean": "0.375",
            "lower": "-1.21328",
            "upper": "1.96328",
        }
    ]
    (curve,) = page.data["comparison-0"][0]["panels"][0]["curves"]
    assert curve["runs"] == 1
    assert len(page.table("experiment")) == 2
