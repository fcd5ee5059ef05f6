"""Values that regular expressions find in the log."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from cloudtune.localcloud.jobs.metric_definitions import MetricDefinitions
from tests.localcloud.jobs.place import cloud


def read(regex: str, *lines: str) -> list[float]:
    found: list[float] = []
    MetricDefinitions([{"Name": "m", "Regex": regex}], lambda _, value, __: found.append(value)).search(lines, 0.0)
    return found


def test_final_metrics_of_a_job(tmp_path: Path) -> None:
    """The last value of each name is in the job's description, with the time of its line."""
    definitions = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "never", "Regex": "never=(.*)"}]
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", "echo loss=0.5; echo loss=0.25", algorithm={"MetricDefinitions": definitions})
        [metric] = job.describe()["FinalMetricDataList"]
        assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)
        assert job.created <= metric["Timestamp"] <= job.state.since


@pytest.mark.parametrize(
    ("regex", "line", "values"),
    [
        (r"a=(\S+)", "a=1 a=2e-3", [0.002]),
        (r"a=(\S+)", "a=1 a=word", [1.0]),
        (r"a=\S+", "a=1", []),
        (r"a=(\S+)?", "a=", []),
        (r"a=(", "a=1", []),
        (r"a=(?<value>\S+)", "a=1", [1.0]),
        (r".*loss: ([0-9.]+).*acc.*", "x" * 500 + "loss: 0.5, acc" + "y" * 500, [0.5]),
        (r"(\d{1,3}\.){3}", "1.2.3.", [3.0]),
        (r"a=(\d+(?:\.\d+)?)", "a=1.5", [1.5]),
        (r"^(?:x|y)*a=(.*)", "xyxa=4", [4.0]),
    ],
)
def test_values(regex: str, line: str, values: list[float]) -> None:
    """The first group of the last match that is a number counts."""
    assert read(regex, line) == values


def test_not_a_number_is_a_value() -> None:
    """NaN and infinity are values of metrics."""
    assert math.isnan(read(r"a=(\S+)", "a=nan")[0])
    assert read(r"a=(\S+)", "a=-inf") == [-math.inf]


@pytest.mark.parametrize(
    "regex", [r"(a+)+b=(\d)", r"(?:a|(?:a*))*=(\d)", r"(x*)*y", r"(?:aa|a)*b", r"((a?){9}){9}", "a*" * 40]
)
def test_expressions_that_might_take_for_ever(regex: str) -> None:
    """An expression whose time may grow exponentially is not used: it would hold up the whole cloud."""
    assert read(regex, "a" * 1000) == []


@pytest.mark.parametrize("stars", [3, 6, 20])
def test_an_expression_that_is_slow(caplog: pytest.LogCaptureFixture, stars: int) -> None:
    """One that takes too long for a line is given up before it does, and not used again."""
    found: list[float] = []
    metrics = MetricDefinitions(
        [{"Name": "m", "Regex": ".*" * stars + r"=(\d)$"}], lambda _, value, __: found.append(value)
    )
    metrics.search(["=" * 1024, "=1"], 0.0)
    assert found == []
    assert "takes too long" in caplog.text
