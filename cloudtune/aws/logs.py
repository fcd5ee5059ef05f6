"""Reading CloudWatch Logs: the whole log of a job, and what is new in many streams at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cloudtune.aws.clients import Aws

#: Where SageMaker's training jobs write.
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"


class LogEvent(NamedTuple):
    """A line of a log."""

    stream: str
    timestamp: int  # milliseconds since 1970, by the clock of who wrote it
    event_id: str
    message: str


class JobLogs:
    """The logs of training jobs."""

    def __init__(self, aws: Aws, group: str = TRAINING_LOGS) -> None:
        self._aws = aws
        self._group = group

    def text(self, job_name: str, host: str = "algo-1") -> str:
        """Everything that a host of a job has written, over all its runs; "" where there is nothing yet."""
        raise NotImplementedError

    def last_lines(self, job_name: str, n: int, host: str = "algo-1") -> list[str]:
        """The last lines, oldest first."""
        raise NotImplementedError

    def follow(self, job_name: str, ended: Callable[[], bool], host: str = "algo-1") -> Iterator[str]:
        """The lines as they come, until the job has ended and nothing new is found."""
        raise NotImplementedError


class Tail:
    """What is new in all streams whose names begin with a prefix: one FilterLogEvents per look."""

    def __init__(self, aws: Aws, stream_prefix: str, filter_pattern: str = "", group: str = TRAINING_LOGS) -> None:
        self.filter_pattern = filter_pattern

    def look(self, since: int | None = None) -> list[LogEvent]:
        """The events that were not given before. ``since``: also look back to this time (milliseconds)."""
        raise NotImplementedError
