"""Which values a report carries, unchanged, and which it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune import constants
from cloudtune.report import Reporter
from tests.report.reported import lines

metric_values = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("abc"), inner, max_size=3)),
    max_leaves=6,
)


@given(metrics=st.dictionaries(st.text("abcü _-'\"\\\n", min_size=1), metric_values, min_size=1, max_size=5))
@settings(max_examples=50)
def test_what_json_carries_arrives_unchanged(metrics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any name (``self`` too), any text, NaN and infinities; always exactly one line."""
    path = tmp_path_factory.mktemp("trial") / "reports.jsonl"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(constants.ENV_REPORT_FILE, str(path))
        Reporter(add_time=False)(**metrics, self=1)
    text = path.read_bytes()
    assert text.count(b"\n") == 1
    assert text.isascii()
    arrived = json.loads(text)
    assert arrived.pop("self") == 1
    assert arrived.pop("st_worker_iter") == 0
    assert repr(arrived) == repr(metrics)


def test_scalars_of_numpy_arrive_as_numbers(report_file: Path) -> None:
    """Nobody has to write float(...) around a metric."""
    Reporter(add_time=False)(
        a=np.float32(0.5), b=np.int64(3), c=np.bool_(True), d=np.array(1.5), e=[np.float64(2)], f=np.float32("nan")
    )
    (row,) = lines(report_file)
    assert math.isnan(row.pop("f"))
    assert row == {"a": 0.5, "b": 3, "c": True, "d": 1.5, "e": [2.0], "st_worker_iter": 0}
    assert type(row["c"]) is bool


def _loop() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(200_000):
        nested = [nested]
    return nested


@pytest.mark.defect("C9")
@pytest.mark.parametrize(
    "value",
    [
        np.zeros(2),
        np.zeros(1),
        {1, 2},
        object(),
        b"x",
        1j,
        np.complex64(1),
        np.datetime64("2020-01-01"),
        {(1, 2): 3},
        [print],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_carry_is_refused(value: Any, report_file: Path) -> None:
    """It never becomes null: the call fails, names the key and the type, and says what to report."""
    with pytest.raises(TypeError) as caught:
        Reporter()(epoch=1, weights=value)
    assert str(caught.value) == (
        f"the value of 'weights' in a report, of type {type(value).__name__}, cannot be written as JSON; report a "
        "number, a string, or a list or dictionary of them (of an array with one element: value.item())"
    )
    assert not report_file.exists()


@pytest.mark.parametrize("make", [_loop, _deep])
def test_endless_values_are_refused(make: Any, report_file: Path) -> None:
    """A list that holds itself, or is nested without end, is told like any other value that JSON cannot carry."""
    with pytest.raises(ValueError, match="the value of 'weights' in a report, of type list, cannot be written as JSON"):
        Reporter()(epoch=1, weights=make())
    assert not report_file.exists()


def test_deep_values_are_refused(report_file: Path) -> None:
    """50 lists and dictionaries in one another may be reported, 51 not: programs that read them have a limit."""
    deep: Any = "[{" * 50  # brackets in text do not count
    flat = [[[brackets] for brackets in "[{[{"] for _ in range(50)]
    for _ in range(25):
        deep = {"inner": [deep, 1]}
    Reporter()(flat=flat, deep=deep)
    with pytest.raises(ValueError) as caught:
        Reporter()(flat=flat, deep=(deep,))
    assert str(caught.value) == (
        "the value of 'deep' in a report has 51 lists or dictionaries in one another; the limit is 50: flatten it"
    )
    assert [row["deep"] for row in lines(report_file)] == [deep]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({}, "a report needs at least one metric, as in report(epoch=3, validation_error=0.12)"),
        ({"epoch": 1, "loss": None}, "the value of 'loss' in a report is None; report a number, or leave the key out"),
        ({"st_x": 1}, "the key 'st_x' in a report begins with 'st_', which is reserved for cloudtune; rename it"),
        (
            {"loss": 1, "trial_id": 7},
            "the key 'trial_id' in a report names a column that cloudtune adds to the results; rename it",
        ),
        (
            {"loss": 1, "config_x": 3},
            "the key 'config_x' in a report begins with 'config_', as the hyperparameters do in the results; rename it",
        ),
        (
            {"loss": 1, "text": "\ud800"},
            "'text' in a report holds text that is not valid Unicode; repair it or leave it out",
        ),
        (
            {"loss": 1, "text": "x" * 60_000},
            (
                "a report has 60020 bytes as JSON, 60002 of them for 'text'; the limit is 49800: save large values to "
                "a file in the checkpoint directory and report its name"
            ),
        ),
    ],
)
def test_a_wrong_report_is_refused_and_the_next_one_counts(
    metrics: dict[str, Any], message: str, report_file: Path
) -> None:
    """Each mistake raises at the call, in one sentence with the remedy, writes nothing and takes no number."""
    report = Reporter()
    with pytest.raises(ValueError) as caught:
        report(**metrics)
    assert str(caught.value) == message
    assert not report_file.exists()
    report(loss=1)
    assert [row["st_worker_iter"] for row in lines(report_file)] == [0]


def test_the_largest_report_stays_within_the_limit(report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit leaves room for all fields that the Reporter adds, with their longest numbers."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "1.2345678901234567e-300")
    report = Reporter()
    report(x="x" * (49_800 - len('{"x":""}')))
    assert report_file.stat().st_size <= constants.MAX_REPORT_BYTES
