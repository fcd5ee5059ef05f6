"""A report wakes the tuner, and waits for nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudtune import constants
from cloudtune.report import Reporter
from tests.report.reported import lines


def test_the_tuner_is_woken_after_the_line_is_written(report_file: Path, fifo: int) -> None:
    """Whoever reads the trial's number from the pipe finds the report in the file."""
    report = Reporter()
    report(i=0)
    assert os.read(fifo, 100) == b"17\n"
    assert len(lines(report_file)) == 1
    report(i=1)
    report(i=2)
    assert os.read(fifo, 100) == b"17\n17\n"


def test_nobody_listening_is_no_error(report_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pipe, no reader, a reader that has gone, and one that comes later: reports go on, and wake whoever reads."""
    path = tmp_path / "wake.fifo"
    monkeypatch.setenv(constants.ENV_WAKE_FIFO, str(path))
    monkeypatch.setenv(constants.ENV_TRIAL, "3")
    report = Reporter()
    report(i=0)
    os.mkfifo(path)
    report(i=1)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    report(i=2)
    assert os.read(reader, 100) == b"3\n"
    os.close(reader)
    report(i=3)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    before = len(os.listdir("/dev/fd"))
    report(i=4)
    assert os.read(reader, 100) == b"3\n"
    os.close(reader)
    report(i=5)
    assert len(os.listdir("/dev/fd")) == before - 1
    assert [row["i"] for row in lines(report_file)] == [0, 1, 2, 3, 4, 5]


def test_a_full_pipe_is_no_error_and_blocks_nobody(report_file: Path, fifo: int, tmp_path: Path) -> None:
    """A tuner that is busy is awake anyway; a script never waits for it."""
    writer = os.open(tmp_path / "wake.fifo", os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x")
    report = Reporter()
    report(i=0)
    report(i=1)
    os.close(writer)
    assert len(lines(report_file)) == 2


def test_a_wake_name_that_is_no_pipe_is_told(
    report_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mistake in the arrangement is not taken for a tuner that is away; the report is written all the same."""
    monkeypatch.setenv(constants.ENV_WAKE_FIFO, str(tmp_path))
    monkeypatch.setenv(constants.ENV_TRIAL, "3")
    with pytest.raises(IsADirectoryError):
        Reporter()(i=0)
    assert len(lines(report_file)) == 1
