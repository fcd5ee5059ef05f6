"""CloudWatch Logs with lines that appear when a test says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import NotFound
from cloudtune.localcloud.services.filter_pattern import FilterPattern


@dataclass(frozen=True)
class ScriptedLine:
    """A line, and the time (seconds) from which on readers see it."""

    stream: str
    time: float  # of the writer
    appears: float
    text: str
    event_id: str


class ScriptedLogs(Aws):
    """Answers FilterLogEvents from a list of lines, as of :attr:`now`. Pages are cut after ``page`` lines."""

    def __init__(self, lines: list[ScriptedLine] | None = None, page: int = 10_000) -> None:
        super().__init__("us-east-1")
        self.lines = lines if lines is not None else []
        self.page = page
        self.now = 0.0
        self.requests: list[dict[str, Any]] = []
        self.errors: list[Exception | None] = []  # for the next calls
        self.exists = True
        self.empty_pages = 0  # before those with lines: CloudWatch searches for some time, then answers anyhow

    def write(self, stream: str, text: str, time: float | None = None, appears: float | None = None) -> None:
        """Adds a line, by default one that is written and seen now."""
        moment = self.now if time is None else time
        seen = max(self.now, moment) if appears is None else appears
        self.lines.append(ScriptedLine(stream, moment, seen, text, f"event-{len(self.lines):05d}"))

    def call(
        self,
        service: str,
        operation: str,
        *,
        patience: float | None = None,
        cancel: threading.Event | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        assert (service, operation) == ("logs", "filter_log_events")
        self.requests.append(params)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        if not self.exists:
            raise NotFound("there is no such group", "ResourceNotFoundException", "logs:FilterLogEvents")
        pattern = FilterPattern.parse(params.get("filterPattern", ""))
        start = params.get("startTime", 0)
        rows = sorted(
            (round(line.time * 1000), round(line.appears * 1000), line.event_id, line)
            for line in self.lines
            if line.appears <= self.now
            and line.stream.startswith(params.get("logStreamNamePrefix", ""))
            and line.time * 1000 >= start
            and pattern.matches(line.text)
        )
        first, empty = (int(part) for part in params.get("nextToken", f"0:{self.empty_pages}").split(":"))
        if empty:
            return {"events": [], "nextToken": f"{first}:{empty - 1}"}
        answer: dict[str, Any] = {
            "events": [
                {
                    "logStreamName": line.stream,
                    "timestamp": written,
                    "ingestionTime": arrived,
                    "eventId": event_id,
                    "message": line.text,
                }
                for written, arrived, event_id, line in rows[first : first + self.page]
            ]
        }
        if len(rows) > first + self.page:
            answer["nextToken"] = f"{first + self.page}:0"
        return answer
