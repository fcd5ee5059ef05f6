"""Reading a report file while it grows."""

from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.report_lines import ReportLines

lines = st.one_of(
    st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text() | st.none()).map(
        lambda d: json.dumps(d).encode()
    ),
    st.sampled_from([b"", b"garbage", b"[1]", b"3", b"null", b'{"torn": ', b"\xff\xfe", b"  "]),
)


@given(written=st.lists(lines, max_size=12), cuts=st.lists(st.integers(0, 400), max_size=12), skip=st.integers(0, 5))
def test_any_growth(tmp_path_factory: pytest.TempPathFactory, written: list[bytes], cuts: list[int], skip: int) -> None:
    """However the file grows, torn in the middle of lines: each good line once and numbered, garbage not counted."""
    path = tmp_path_factory.mktemp("reports") / "reports-0.jsonl"
    data = b"".join(line + b"\n" for line in written)
    reader = ReportLines(str(path), skip=skip)
    assert reader.read_new() == []
    found: list[tuple[int, dict[str, Any]]] = []
    begin = 0
    for end in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        with path.open("ab") as file:
            file.write(data[begin:end])
        begin = end
        found += reader.read_new()
    found += reader.read_new(ended=True)
    good = [report for report in map(parsed, written) if report is not None]
    assert found == list(enumerate(good))[skip:]


def parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@pytest.mark.defect("E2")
def test_only_new_bytes_are_read(tmp_path: Path) -> None:
    """What was read once is not looked at again: overwriting it changes nothing."""
    path = tmp_path / "reports"
    path.write_bytes(b'{"a": 1}\n')
    reader = ReportLines(str(path))
    assert reader.read_new() == [(0, {"a": 1})]
    path.write_bytes(b'{"b": 2}\n{"c": 3}\n')
    assert reader.read_new() == [(1, {"c": 3})]


def test_large_file_at_once(tmp_path: Path) -> None:
    """A file of several megabytes is read whole, a line longer than a chunk too."""
    path = tmp_path / "reports"
    reports = [{"text": "x" * size} for size in (10, 3_000_000, 10, 1_500_000)]
    path.write_text("".join(json.dumps(report) + "\n" for report in reports))
    assert ReportLines(str(path)).read_new() == list(enumerate(reports))


def test_torn_last_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A last line without its newline is waited for, and told of when the attempt has ended."""
    path = tmp_path / "reports"
    path.write_bytes(b'{"a": 1}\n{"b": ')
    reader = ReportLines(str(path))
    assert reader.read_new() == [(0, {"a": 1})]
    assert not caplog.records
    assert reader.read_new(ended=True) == []
    assert str(path) in caplog.text


def test_deep_lines_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is deeper than the Reporter allows, wherever that ends in a RecursionError, is skipped and told of."""
    path = tmp_path / "reports"
    depths = [50, 51, 400, 960, 985, 1000, 100_000]
    path.write_text("".join(f'{{"a": {"[" * depth}1{"]" * depth}}}\n' for depth in depths) + '{"a": 2}\n')
    [(first, deep), last] = ReportLines(str(path)).read_new()
    assert (first, json.dumps(deep).count("[")) == (0, 50)
    assert last == (1, {"a": 2})
    assert str(path) in caplog.text


def test_too_many_open_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A tuner without a free descriptor reads later what it cannot read now; only at the end there is no later."""
    path = tmp_path / "reports"
    path.write_bytes(b'{"a": 1}\n')
    reader = ReportLines(str(path))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(path, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        none_read = reader.read_new()
        with pytest.raises(OSError, match="Too many open files"):
            reader.read_new(ended=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert none_read == []
    assert [record.getMessage() for record in caplog.records] == [
        f"[Errno {errno.EMFILE}] Too many open files: '{path}'; the reports in this file are read later"
    ]
    assert reader.read_new() == [(0, {"a": 1})]
