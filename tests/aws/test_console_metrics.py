"""What SageMaker's console reads from a trial's log, tested against the lines that the Reporter prints."""

from __future__ import annotations

import json
import logging
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.console_metrics import regex_of, with_console_metrics
from cloudtune.aws.request_limits import first_problem
from cloudtune.localcloud.java_regex import compile_java
from cloudtune.localcloud.jobs.metric_definitions import MetricDefinitions
from cloudtune.report import Reporter


def line_of(capsys: pytest.CaptureFixture[str], /, **metrics: object) -> str:
    """What the Reporter prints."""
    Reporter()(**metrics)
    return capsys.readouterr().out


def read(name: str, line: str) -> float | None:
    found = re.search(regex_of(name), line)
    return None if found is None else float(found[1])


NUMBERS = [12.5, 1e-05, -1e-05, 1, -7, 0.0, -0.0, 1e22, 1.5e300, -2.5e-300, 10**30, math.inf, -math.inf, math.nan]


@pytest.mark.defect("C19")
@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_is_read_whole(capsys: pytest.CaptureFixture[str], number: float) -> None:
    """The predecessor read 12.5 as 12 and 1e-05 as 1."""
    line = line_of(capsys, epoch=3, loss=number, accuracy=0.5)
    assert repr(read("loss", line)) == repr(float(number))
    assert read("epoch", line) == 3
    assert read("accuracy", line) == 0.5


@pytest.mark.defect("C19")
@pytest.mark.parametrize(
    "name", ["a.b", "loss[0]", "f(x)", "a+b", "a|b", "a{2}", "a\\b", 'say "x"', "größe", "a b", "^$", "val/loss", "名"]
)
def test_names_are_taken_as_they_are(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Dots and brackets are no patterns: only the metric of that very name is read, by Python and by Java alike."""
    near = name.replace(".", "x").replace("[0]", "0") + "_"
    line = line_of(capsys, **{near: 1, name: 2.5})
    assert read(name, line) == 2.5
    compile_java(regex_of(name))


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.floats() | st.integers() | st.text(max_size=20), min_size=1))
def test_whatever_is_reported_is_read_back(metrics: dict[str, object]) -> None:
    """Numbers are found under their names; a text, though it may look like a report, is none."""
    line = "[tune-metric]: " + json.dumps(metrics, separators=(",", ":"))
    for name, value in metrics.items():
        expected = None if isinstance(value, str) else repr(float(value))  # type: ignore[arg-type]
        got = read(name, line)
        assert (None if got is None else repr(got)) == expected


def test_other_lines_are_not_read() -> None:
    """A script's own prints do not count, however they look."""
    assert read("loss", '{"loss":1}') is None
    assert read("loss", '[tune-metric]: {"text":"x,\\"loss\\":1"}') is None
    assert read("loss", '[tune-metric]: {"loss":true}') is None
    assert read("loss", '[tune-metric]: {"validation_loss":1}') is None


def test_sagemaker_records_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    """The local cloud reads the definitions as SageMaker does, and gets the last value of each line."""
    seen: list[tuple[str, float]] = []
    reader = MetricDefinitions(
        with_console_metrics((), ["loss", "loss[0]"]), lambda name, value, now: seen.append((name, value))
    )
    reader.search([line_of(capsys, **{"loss": 1e-05, "loss[0]": 12.5}), "loss: 3"], 0.0)
    assert seen == [("loss", 1e-05), ("loss[0]", 12.5)]


def test_forty_are_shown_and_the_users_come_first(caplog: pytest.LogCaptureFixture) -> None:
    """AWS allows forty; what is left out is logged; a metric that the user has defined stays the user's."""
    caplog.set_level(logging.INFO)
    names = [f"m{number}" for number in range(45)]
    assert [one["Name"] for one in with_console_metrics((), ["m0", *names])] == names[:40]
    assert "'m44'" in caplog.text
    users = [{"Name": "m1", "Regex": "mine=(.*)"}]
    both = with_console_metrics(users, names)
    assert both[0] == users[0]
    assert [one["Name"] for one in both] == ["m1", "m0", *names[2:40]]
    assert first_problem({"AlgorithmSpecification": {"MetricDefinitions": both}}) is None


def test_a_name_that_aws_does_not_take_is_left_out() -> None:
    """The trial matters more than its line in the console."""
    assert [one["Name"] for one in with_console_metrics((), ["x" * 256, "名" * 120, "ok"])] == ["ok"]
