"""Where a trial's reports go: a file, and a pipe that wakes the tuner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune import constants


@pytest.fixture
def report_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trial's report file, announced in the environment."""
    path = tmp_path / "reports-0.jsonl"
    monkeypatch.setenv(constants.ENV_REPORT_FILE, str(path))
    return path


@pytest.fixture
def fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The reading end of the pipe that wakes the tuner."""
    path = tmp_path / "wake.fifo"
    os.mkfifo(path)
    monkeypatch.setenv(constants.ENV_WAKE_FIFO, str(path))
    monkeypatch.setenv(constants.ENV_TRIAL, "17")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)
