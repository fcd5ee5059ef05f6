"""Reading the report file: each good line once, whatever else the script writes there, and however it comes in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent import report_file
from cloudtune.agent.report_file import ReportFile

GOOD = st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | st.text(max_size=10), max_size=3).map(
    lambda value: json.dumps(value).encode()
)
BAD = st.sampled_from([b"", b"  ", b"garbage", b"[1]", b"1", b"null", b'{"a":', b"\xff\xfe", b"{" * 60, b'{"a":1}}'])


@given(lines=st.lists(st.tuples(st.booleans(), GOOD, BAD)), cuts=st.lists(st.integers(0, 400)))
def test_good_lines_come_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[bool, bytes, bytes]], cuts: list[int]
) -> None:
    """Wherever a read falls between two writes."""
    path = tmp_path_factory.mktemp("reports") / "reports.jsonl"
    data = b"".join((good if is_good else bad) + b"\n" for is_good, good, bad in lines)
    reader = ReportFile(str(path), lambda _: None)
    found: list[str] = []
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        with path.open("ab") as file:
            file.write(data[start : max(start, cut)])
        start = max(start, min(cut, len(data)))
        found += reader.read_new()
    assert found == [good.decode() for is_good, good, _ in lines if is_good]


def test_a_line_without_its_end_waits(tmp_path: Path) -> None:
    """A report is read when it is complete."""
    path = tmp_path / "reports.jsonl"
    reader = ReportFile(str(path), lambda _: None)
    assert reader.read_new() == []
    path.write_bytes(b'{"a": 1}\n{"b"')
    assert reader.read_new() == ['{"a": 1}']
    with path.open("ab") as file:
        file.write(b": 2}\n")
    assert reader.read_new() == ['{"b": 2}']


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too long for a report: skipped as it comes, with one note; what follows is read."""
    monkeypatch.setattr(report_file, "_BLOCK", 1000)
    notes: list[str] = []
    path = tmp_path / "reports.jsonl"
    reader = ReportFile(str(path), notes.append)
    found: list[str] = []
    with path.open("ab", buffering=0) as file:
        file.write(b'{"a": 1}\n')
        for _ in range(7):
            file.write(b"x" * 700)
            found += reader.read_new()
        file.write(b'y\n{"b": 2}\n')
    while more := reader.read_new():
        found += more
    assert found == ['{"a": 1}', '{"b": 2}']
    assert len(notes) == 1


def test_the_rest_of_a_line_that_was_too_long_is_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it looks like one."""
    monkeypatch.setattr(report_file, "_BLOCK", 1000)
    path = tmp_path / "reports.jsonl"
    path.write_bytes(b"x" * 1000 + b'{"fake": 1}\n{"a": 1}\n')
    reader = ReportFile(str(path), lambda _: None)
    assert reader.read_new() + reader.read_new() == ['{"a": 1}']


def test_a_report_over_the_limit_is_none(tmp_path: Path) -> None:
    """The Reporter refuses such; who writes it by hand is told."""
    notes: list[str] = []
    path = tmp_path / "reports.jsonl"
    path.write_text(json.dumps({"a": "x" * 60_000}) + "\n" + '{"deep": ' + "[" * 60 + "]" * 60 + "}\n" + '{"b": 1}\n')
    assert ReportFile(str(path), notes.append).read_new() == ['{"b": 1}']
    assert len(notes) == 1
    assert "through the Reporter only" in notes[0]


def test_a_file_that_was_emptied_is_read_anew(tmp_path: Path) -> None:
    """What a script writes after it has truncated the file counts."""
    path = tmp_path / "reports.jsonl"
    reader = ReportFile(str(path), lambda _: None)
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert len(reader.read_new()) == 2
    path.write_text('{"a": 3}\n')
    assert reader.read_new() == ['{"a": 3}']


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_holds_no_reports(tmp_path: Path, make: object) -> None:
    """Neither a pipe without a writer nor a folder holds the reader up."""
    path = tmp_path / "reports.jsonl"
    make(path)  # type: ignore[operator]
    assert ReportFile(str(path), lambda _: None).read_new() == []
