"""Lines of the log that carry reports and the end: written by the agent, read by the tuner."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent.forms import EndForm
from cloudtune.agent.log_lines import EndLine, ReportLine, end_line, parse_line, report_line, without_reports
from cloudtune.agent.protocol import LOG_END, LOG_REPORT

METRICS = st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text() | st.booleans())


@given(run_id=st.text(), number=st.integers(0, 10**9), metrics=METRICS)
def test_a_report_survives_the_log(run_id: str, number: int, metrics: dict[str, object]) -> None:
    """Whatever its values, it is one line, and the same when it is read."""
    line = report_line(run_id, number, json.dumps(metrics))
    assert "\n" not in line
    assert parse_line(line) == ReportLine(run_id, number, metrics)


@given(
    reason=st.text(), output=st.text(), code=st.none() | st.integers(0, 255), reports=st.integers(0, 10**6)
)  # fmt: skip
def test_an_end_survives_the_log(reason: str, output: str, code: int | None, reports: int) -> None:
    """With its last lines of output, which have ends of lines themselves."""
    end: EndForm = {"outcome": "failed", "exit_code": code, "signal": None, "reason": reason, "output": output}
    line = end_line("id", end, reports)
    assert "\n" not in line
    assert parse_line(line) == EndLine("id", end, reports)


@given(text=st.text())
def test_other_lines_are_none_of_ours(text: str) -> None:
    """Nothing a script prints breaks the reader."""
    assert parse_line(text) is None


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"run_id": "a"}',
        '{"run_id": 1, "n": 0, "m": {}}',
        '{"run_id": "a", "n": -1, "m": {}}',
        '{"run_id": "a", "n": true, "m": {}}',
        '{"run_id": "a", "n": 0, "m": []}',
        '{"run_id": "a", "n": 0, "m": {"torn',
        '{"run_id": "a", "outcome": "splendid", "reports": 1}',
        '{"run_id": "a", "outcome": "failed", "reports": "1"}',
        "[" * 5000,
    ],
)
def test_torn_and_forged_lines_are_skipped(rest: str) -> None:
    """A tag alone makes no report."""
    assert parse_line(LOG_REPORT + rest) is None
    assert parse_line(LOG_END + rest) is None


def test_a_line_that_mentions_a_report_is_none() -> None:
    """A script that prints its log, or a traceback that quotes it, reports nothing."""
    line = report_line("id", 0, '{"a": 1}')
    assert parse_line("saw " + line) is None
    assert parse_line("  " + line) == ReportLine("id", 0, {"a": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a\n[tune-metric]: {"x": "}"}\n\nb', "a\n\nb"),
        ('a\n  [cloudtune-report]: {"n": 0}\n[cloudtune-end]: {}', "a"),
        ('10%[tune-metric]: {"x": 1}[tune-metric]: {"x": 2} done', "10% done"),
        ('a\n[tune-metric]: {"x": ', "a"),
        ("[tune-metric]:", ""),
    ],
)
def test_output_without_reports(text: str, expected: str) -> None:
    """Reports and end marks go, whole or torn, also from within a line; all other text stays."""
    assert without_reports(text) == expected
