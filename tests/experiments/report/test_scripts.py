"""The script of the page: what it may not do, and what it draws."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudtune.experiments.quantities import NOTHING
from tests.experiments.report.studies import HOSTILE, ROWS, Page, experiment, metadata, row, study

BROWSER = Path(__file__).parent / "browser.js"


NODE = shutil.which("node")


def drawn(page: Page) -> dict[str, Any]:
    """What the script has drawn of a page."""
    if NODE is None:
        pytest.skip("needs node, which runs the script of the page")
    rows = next(table for table in page.tables if table[0][0] == "experiment" and "state" in table[0])
    given = {
        "script": page.scripts[0],
        "data": {identifier: json.dumps(data) for identifier, data in page.data.items()},
        "comparisons": [identifier for identifier in page.data if identifier.startswith("comparison-")],
        "experiments": [{"name": one[0], "from": f"data-{number}"} for number, one in enumerate(rows[1:])],
        "rows": rows,
    }
    done = subprocess.run(
        [NODE, BROWSER], input=json.dumps(given), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def page() -> Page:
    """A study of two methods, one of whose experiments has no report yet."""
    slower = [{**one, "st_tuner_time": 2 * one["st_tuner_time"]} for one in ROWS]
    rows = [*slower, row(0, 8.0, "PAUSE", loss=float("nan"), epoch=4)]
    return Page.of(
        study(
            experiment("b-first"),
            experiment("a-second", rows=rows, said=metadata(method="RS"), seconds=9.0),
            experiment("c-third", rows=[], trials=[], said=metadata(method=HOSTILE), state="running"),
        )
    )


@pytest.fixture(scope="module")
def seen(page: Page) -> dict[str, Any]:
    """What the script makes of it."""
    return drawn(page)


def test_the_script_makes_no_markup_of_text_and_calls_nobody() -> None:
    """It sets text as text, and knows no way to a network or to what a browser keeps."""
    (script,) = Page.of(study()).scripts
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(|fetch\("
        r"|XMLHttpRequest|WebSocket|EventSource|sendBeacon|localStorage|sessionStorage|indexedDB|document\.cookie|\bimport\b|window\.open"
    )
    assert re.findall(forbidden, script) == []
    assert script.startswith('"use strict";')


def test_the_script_is_whole() -> None:
    """Outside of strings and comments every bracket is closed by its like."""
    (script,) = Page.of(study()).scripts
    bare = re.sub(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|/\\s\+/|/\\\.\?0\+e/", "", script)
    depth: list[str] = []
    for character in re.sub(r"`(?:\\.|[^`\\])*`", "", bare):
        if character in "([{":
            depth.append({"(": ")", "[": "]", "{": "}"}[character])
        elif character in ")]}":
            assert depth.pop() == character
    assert depth == []


def test_tables_are_sorted_and_filtered(page: Page, seen: dict[str, Any]) -> None:
    """By name, by number, with what is not known last; a filter hides experiments in the table and below."""
    columns = dict(zip(_columns(page), seen["sorted"], strict=True))
    assert columns["experiment"] == ["a-second", "b-first", "c-third"]
    assert columns["best value"][-1] == "c-third"
    assert seen["filtered"] == ["b-first"]


def _columns(page: Page) -> list[str]:
    return next(table[0] for table in page.tables if table[0][0] == "experiment" and "state" in table[0])


def test_experiments_are_drawn_when_they_are_opened(page: Page, seen: dict[str, Any]) -> None:
    """The one that an address names is open; curves, marks, ticks and rows of trials are there; none is no error."""
    assert seen["lazily"] == [True, False, False]
    first, second, third = seen["experiments"]
    assert first["trials"] == [
        ["0", "Completed", "3", "0.25", "0.25", "0.5"],
        ["1", "Stopped", "1", "0.95", "0.5", "0.125"],
        ["2", "Failed", "0", NOTHING, NOTHING, "0.75"],
    ]
    assert third["whole"] is None
    assert all(_is_whole(path) for one in (first, second) for path in one["whole"]["lines"])
    assert {"0", "1", "2", "3", "4"} <= set(first["whole"]["ticks"])


def test_pointing_tells_trial_value_and_configuration(page: Page, seen: dict[str, Any]) -> None:
    """Beside the pointer stands what is drawn there."""
    assert re.fullmatch(
        r"trial [01], \w+: loss 0\.\d+\nat [\d.]+ s, epoch \d\nlr=0\.\d+", seen["experiments"][0]["tip"]
    )


def test_dragging_zooms_and_a_double_click_shows_the_whole(page: Page, seen: dict[str, Any]) -> None:
    """The axes show the stretch that was dragged over, and then everything again."""
    for one in seen["experiments"][:2]:
        assert one["zoomed"]["ticks"] != one["whole"]["ticks"]
        assert one["again"] == one["whole"]


def test_comparisons_are_drawn_over_each_axis(page: Page, seen: dict[str, Any]) -> None:
    """Of each view the curves of all setups, and at the pointer the value of each with its runs."""
    for views in seen["comparisons"]:
        assert len(views) == len(page.data["comparison-0"]) + 1
        assert all(_is_whole(path) for view in views for path in view["paths"])
        assert re.search(r"ASHA: 0\.\d+ \(1 of 1 runs", views[0]["tip"])
        assert re.search(r"RS: 0\.\d+", views[0]["tip"])
        assert len({tuple(view["ticks"]) for view in views}) > 1


def test_panels_have_the_same_axes() -> None:
    """Methods side by side can be compared by eye: hidden or shown, zoomed or whole."""
    worse = [{**one, "loss": 10 * one["loss"]} if "loss" in one else one for one in ROWS]
    experiments = [
        experiment(f"{method}-{workers}", rows=rows, said=metadata(method=method, n_workers=workers))
        for method, rows in (("ASHA", ROWS), ("RS", worse))
        for workers in (2, 4)
    ]
    (views,) = drawn(Page.of(study(*experiments)))["comparisons"]
    for view in views:
        assert len(view["panels"]) == 2
        assert view["panels"][0] == view["panels"][1]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_trial_that_diverges_does_not_flatten_the_others(mode: str) -> None:
    """Its values lie outside of what is shown first; it is said, and the whole picture has them."""
    sign = 1.0 if mode == "min" else -1.0
    rows = [row(number % 3, float(number), loss=sign / number, epoch=1 + number // 3) for number in range(1, 41)]
    wild = [*rows, row(0, 41.0, loss=sign * 3e9, epoch=11)]
    seen = {}
    for name, of in (("tame", rows), ("wild", wild)):
        page = Page.of(study(experiment(name, rows=of, said=metadata(metric_mode=mode))))
        (seen[name],) = drawn(page)["experiments"]
    highest = {name: max(abs(float(tick)) for tick in one["whole"]["ticks"] if tick) for name, one in seen.items()}
    assert highest["wild"] < 100
    assert "the worst values lie outside" in seen["wild"]["count"]
    assert "the worst values lie outside" not in seen["tame"]["count"]
    assert any(float(tick) * sign > 1e9 for tick in seen["wild"]["again"]["ticks"])


def _is_whole(path: str) -> bool:
    """Whether a path holds numbers only."""
    return all(math.isfinite(float(number)) for number in re.findall(r"-?[\d.]+", path)) and "NaN" not in path
