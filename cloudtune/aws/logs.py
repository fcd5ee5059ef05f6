"""Reading the CloudWatch logs of training jobs: all that a host has written, its last lines, its lines as they come."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import NotFound
from cloudtune.aws.log_tail import TRAINING_LOGS, LogEvent, Tail

__all__ = ["FIRST_HOST", "TRAINING_LOGS", "JobLogs", "LogEvent", "Tail", "run_epoch"]

#: What SageMaker calls a job's first machine.
FIRST_HOST = "algo-1"

_STREAM = re.compile(r"(?P<job>[^/]+)/(?P<host>.+)-(?P<epoch>\d+)")
#: CloudWatch gives no more lines than this at a time.
_PAGE = 10_000


def run_epoch(stream: str, job_name: str, host: str) -> int | None:
    """When the run of a host began whose log the stream is, in seconds since 1970; None if it is no such stream.

    Each start of a job's container has a stream of its own, ``<job>/<host>-<epoch>``.
    """
    parts = _STREAM.fullmatch(stream)
    if parts is None or parts["job"] != job_name or parts["host"] != host:
        return None
    return int(parts["epoch"])


class JobLogs:
    """The logs of training jobs.

    Args:
        aws: Whose logs.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def text(self, job_name: str, host: str = FIRST_HOST) -> str:
        """All lines that a host of a job has written, over all its runs; "" where there is none yet.

        Raises AwsError.
        """
        lines: list[str] = []
        for stream in self._streams(job_name, host):
            lines += (line for page in self._pages(stream, forward=True) for line in page)
        return "".join(f"{line}\n" for line in lines)

    def jobs(self, prefix: str) -> list[str]:
        """Names of the jobs that have written a log and whose names begin so, in no particular order. Raises AwsError.

        Args:
            prefix: At least one character.
        """
        parts = (_STREAM.fullmatch(name) for name in self._stream_names(prefix))
        return list({one["job"]: None for one in parts if one is not None and one["job"].startswith(prefix)})

    def last_lines(self, job_name: str, n: int, host: str = FIRST_HOST) -> list[str]:
        """The last ``n`` lines, oldest first; fewer where there are no more. Raises AwsError."""
        found: list[str] = []
        for stream in reversed(self._streams(job_name, host) if n > 0 else []):
            for page in self._pages(stream, forward=False, limit=min(n, _PAGE)):
                found = page + found
                if len(found) >= n:
                    return found[-n:]
        return found

    def first_lines(self, job_name: str, n: int) -> list[str]:
        """The first lines of the first run on the first host, at most ``n``. Raises AwsError."""
        for stream in self._streams(job_name, FIRST_HOST) if n > 0 else []:
            for page in self._pages(stream, forward=True, limit=min(n, _PAGE)):
                return page
        return []

    def follow(self, job_name: str, ended: Callable[[], bool], every: float = 2.0) -> Iterator[str]:
        """The lines of the first host as they come. Lines that come late stand where they came.

        Args:
            job_name: The job, whether it has begun or not.
            ended: Tells whether the job is terminal; then two looks in a row without news end the generator.
            every: Seconds between two looks.
        """
        never = threading.Event()
        tail = Tail(self._aws, f"{job_name}/{FIRST_HOST}-")
        quiet = 0
        while quiet < 2:
            is_over = ended()
            events = tail.look()
            yield from (event.message for event in events)
            quiet = quiet + 1 if is_over and not events else 0
            if quiet < 2:
                never.wait(every)

    def _streams(self, job_name: str, host: str) -> list[str]:
        """The streams of a host's runs, oldest first."""
        epochs = {name: run_epoch(name, job_name, host) for name in self._stream_names(f"{job_name}/{host}-")}
        found = {name: epoch for name, epoch in epochs.items() if epoch is not None}
        return sorted(found, key=lambda name: found[name])

    def _stream_names(self, prefix: str) -> list[str]:
        """All streams whose names begin so."""
        found: list[str] = []
        token: dict[str, Any] = {}
        while True:
            try:
                page = self._aws.call(
                    "logs",
                    "describe_log_streams",
                    logGroupName=TRAINING_LOGS,
                    logStreamNamePrefix=prefix,
                    **token,
                )
            except NotFound:  # the first job of an account makes the group
                return []
            found += (row["logStreamName"] for row in page["logStreams"])
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    def _pages(self, stream: str, forward: bool, limit: int = _PAGE) -> Iterator[list[str]]:
        """The lines of a stream, page by page from its beginning or from its end; within a page oldest first."""
        name = "nextForwardToken" if forward else "nextBackwardToken"
        token: dict[str, Any] = {}
        while True:
            page = self._aws.call(
                "logs",
                "get_log_events",
                logGroupName=TRAINING_LOGS,
                logStreamName=stream,
                startFromHead=forward,
                limit=limit,
                **token,
            )
            yield [event["message"] for event in page["events"]]
            if page[name] == token.get("nextToken"):  # how CloudWatch says that this is the end
                return
            token = {"nextToken": page[name]}
