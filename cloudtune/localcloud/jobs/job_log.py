"""The log of one host of one run: lines on their way to CloudWatch."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs.output_lines import OutputLines

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
#: A batch goes off when it holds so many characters, whatever the time. PutLogEvents takes 1 MiB, or 10,000 events.
_BATCH_CHARACTERS = 500_000
_BATCH_EVENTS = 5_000
_LAST_LINES = 3


class JobLog:
    """Gathers lines into batches. The stream comes to be with its first line, as on AWS.

    Args:
        platform: Whose clock and logs.
        job: Whose account and region.
        stream: ``<job>/<host>-<epoch seconds>``.
    """

    def __init__(self, platform: Platform, job: TrainingJob, stream: str) -> None:
        self.stream = stream
        self._platform = platform
        self._job = job
        self._lines = OutputLines()
        self._events: list[tuple[int, str]] = []
        self._characters = 0
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    @property
    def waiting(self) -> bool:
        """Whether there are lines that are not in CloudWatch yet."""
        return bool(self._events)

    @property
    def last_lines(self) -> str:
        """How the output ended, in so many words as may stand for a missing failure file."""
        return "\n".join(self._last)

    def write(self, data: bytes) -> list[str]:
        """Takes output of the container; empty at its end. Returns the lines that are complete now."""
        lines = list(self._lines.feed(data) if data else self._lines.end())
        if lines:
            now = int(self._platform.clock.time() * 1000)
            for line in lines:
                self._events.append((now, line))
                self._characters += len(line)
                if self._characters > _BATCH_CHARACTERS or len(self._events) >= _BATCH_EVENTS:
                    self.flush()
            self._last.extend(line[:1000] for line in lines[-_LAST_LINES:])
        return lines

    def flush(self) -> None:
        """Sends what waits."""
        if self._events:
            events, self._events, self._characters = self._events, [], 0
            self._platform.logs.put(self._job.account, self._job.region, LOG_GROUP, self.stream, events)
