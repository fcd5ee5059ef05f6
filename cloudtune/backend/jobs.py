"""What a supervisor knows of its children. Imports next to nothing: trials are forks of the process that imports it."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # importing typing would make every fork dearer
if TYPE_CHECKING:
    from typing import Any


class Job:
    """One attempt of a trial, from its start to its end."""

    __slots__ = ("attempt", "output_from", "sent", "trial")

    def __init__(self, trial: int, attempt: int, output_from: list[int]) -> None:
        self.trial = trial
        self.attempt = attempt
        self.output_from = output_from  # sizes of std.out and std.err before this attempt
        self.sent: str | None = None  # why we told it to end: "stop", "pause" or "interrupt"

    def end(self, exit_code: int | None, by_signal: int | None, error: str | None, at: float) -> dict[str, Any]:
        """How the attempt ended, as the end file and the tuner are told.

        Args:
            exit_code: The process's, if it has exited.
            by_signal: Number of the signal that killed it, if one did.
            error: Why there was no process, if there was none.
            at: ``time.monotonic()`` of the end.
        """
        return {
            "trial": self.trial,
            "attempt": self.attempt,
            "exit_code": exit_code,
            "signal": by_signal,
            "sent": self.sent,
            "error": error,
            "output_from": self.output_from,
            "at": at,
        }


class Process:
    """A child that runs trials. One that can run several has pipes: ``jobs`` to it, ``results`` from it."""

    __slots__ = ("job", "jobs", "jobs_done", "kill_at", "pid", "results")

    def __init__(self, pid: int, jobs: int = -1, results: int = -1) -> None:
        self.pid = pid
        self.jobs = jobs
        self.results = results
        self.job: Job | None = None
        self.jobs_done = 0
        self.kill_at: float | None = None


def record_end(path: str, end: dict[str, Any]) -> None:
    """Writes how an attempt ended to its end file.

    Raises:
        OSError: The disk is full, the folder has been deleted, or the like.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, json.dumps(end).encode())
    finally:
        os.close(fd)
