"""The Reporter, as a training script uses it."""

from __future__ import annotations

import ast
import math
import pickle
from pathlib import Path

import pytest

import cloudtune.report
from cloudtune import constants
from cloudtune.report import Reporter
from tests.old_python import python38
from tests.report.reported import lines, printed, run_script


def test_a_report_reaches_the_file_and_stdout_alike(report_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line in the report file, and the same behind the tag on stdout; the user's metrics come first."""
    report = Reporter()
    report(epoch=1, validation_error=0.12)
    report(epoch=2, validation_error=0.1, note="ü")
    first, second = lines(report_file)
    assert list(first) == [
        "epoch",
        "validation_error",
        "st_worker_iter",
        "st_worker_timestamp",
        "st_worker_time",
    ]
    assert (first["epoch"], first["validation_error"], first["st_worker_iter"]) == (1, 0.12, 0)
    assert (second["note"], second["st_worker_iter"]) == ("ü", 1)
    assert 0 <= first["st_worker_time"] <= second["st_worker_time"]
    assert first["st_worker_timestamp"] > 1.6e9
    assert printed(capsys) == [first, second]


def test_without_a_tuner_reports_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that is started by hand works, and shows what it would report."""
    Reporter()(loss=1.5)
    assert printed(capsys)[0]["loss"] == 1.5


@pytest.mark.defect("C8")
def test_times_can_be_left_out(report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without times nothing crashes: the count stays, and so does the cost, which needs the time all the same."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "0.5")
    Reporter(add_time=False)(loss=1)
    Reporter(add_time=False, add_cost=False)(loss=1)
    first, second = lines(report_file)
    assert set(first) == {"loss", "st_worker_iter", "st_worker_cost"}
    assert set(second) == {"loss", "st_worker_iter"}


def test_cost_is_price_times_time(report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the price of the instance is known, a report says what the trial has cost so far."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "2.5")
    Reporter()(loss=1)
    (row,) = lines(report_file)
    assert row["st_worker_cost"] == pytest.approx(2.5 * row["st_worker_time"])


def test_a_price_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the environment variable."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "cheap")
    with pytest.raises(
        ValueError, match="CLOUDTUNE_PRICE_PER_SECOND must be a number of dollars, got 'cheap'; unset it"
    ):
        Reporter()
    Reporter(add_cost=False)


def test_a_reporter_sent_to_a_trial_reports_for_that_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function may refer to a Reporter made in a notebook: in the trial it takes the trial's environment."""
    sent = pickle.dumps(Reporter(add_time=False))
    monkeypatch.setenv(constants.ENV_REPORT_FILE, str(tmp_path / "reports.jsonl"))
    pickle.loads(sent)(i=1)
    assert lines(tmp_path / "reports.jsonl") == [{"i": 1, "st_worker_iter": 0}]


@pytest.mark.defect("E9")
def test_the_reporter_imports_four_modules_of_the_standard_library() -> None:
    """Importing it is the price that every trial pays."""
    tree = ast.parse(Path(cloudtune.report.__file__).read_text())
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert names == ["json", "os", "sys", "time"]
    others = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert others == ["cloudtune.constants"]


def test_the_reporter_works_in_python_3_8(report_file: Path) -> None:
    """In an old image reports arrive as in a new one. Without such a Python here, its syntax is checked."""
    python = python38()
    if python is None:
        ast.parse(Path(cloudtune.report.__file__).read_text(), feature_version=(3, 8))
        return
    code = """
import sys
from cloudtune import Reporter
report = Reporter()
report(epoch=1, loss=0.5)
for wrong in ({}, {"a": None}, {"st_a": 1}, {"a": object()}, {"a": "x" * 60000}):
    try:
        report(**wrong)
    except (TypeError, ValueError):
        continue
    sys.exit("no error")
report(epoch=2, loss=float("nan"))
"""
    done = run_script(code, python, CLOUDTUNE_REPORT_FILE=str(report_file), CLOUDTUNE_PRICE_PER_SECOND="1")
    assert done.returncode == 0, done.stderr
    first, second = lines(report_file)
    assert (first["epoch"], first["loss"], second["epoch"]) == (1, 0.5, 2)
    assert math.isnan(second["loss"])
    assert len(done.stdout.splitlines()) == 2
