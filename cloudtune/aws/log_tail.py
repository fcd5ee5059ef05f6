"""What is new in many log streams at once, for one call per look however many of them are silent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError, NotFound

logger = logging.getLogger(__name__)

#: The log group of SageMaker's training jobs.
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"

#: Seconds before the newest line that are read again by each look.
OVERLAP = 20.0
#: Seconds before the newest line that are read again by a wide look, which is one in so many.
WIDE_OVERLAP = 900.0
WIDE_EVERY = 30
#: However late lines come, no look goes back further for it than so many seconds.
_MOST_LAG = 3600.0
#: So many event ids are remembered; with more, less is read again.
MOST_IDS = 200_000
#: CloudWatch is reported to search at most 100 streams by a prefix. Beyond this number none is given, and the lines of
#: other streams are passed over here: a look is of a few seconds, and the filter pattern leaves little of them.
MOST_STREAMS = 80
#: A look that finds more pages goes on with them in the next look.
_MOST_PAGES = 50
#: Seconds for which a look tries again when AWS throttles or cannot be reached. The next look tries again anyway.
_PATIENCE = 5.0


class LogEvent(NamedTuple):
    """A line of a log."""

    stream: str
    timestamp: int  # milliseconds since 1970, by the clock of who wrote it
    event_id: str
    message: str


class Tail:
    """Reads what is new in all streams whose names begin with a prefix.

    A look is one FilterLogEvents, of which an account has five a second, and more only where there is more than a
    page. It asks for the lines from a little before the newest known one: lines appear late and out of order.
    Lines known already are told by their event id. How far back a look goes follows from how late lines were: by
    CloudWatch's own clock and the writer's, never by the clock of this machine. Every so often a look goes back
    further. A line that comes later still is not found.

    Args:
        aws: Whose logs.
        stream_prefix: Of the streams' names.
        filter_pattern: In CloudWatch's language; may be changed between two looks.
        since: Lines older than this (milliseconds since 1970) do not matter; None: all do.
        overlap: Seconds before the newest line that each look reads again.
        wide_every: One in so many looks is wide.
        most_ids: So many event ids are remembered.
        cancel: Ends the waiting of a look when it is set, which raises Cancelled then.
    """

    def __init__(
        self,
        aws: Aws,
        stream_prefix: str,
        filter_pattern: str = "",
        *,
        since: int | None = None,
        overlap: float = OVERLAP,
        wide_every: int = WIDE_EVERY,
        most_ids: int = MOST_IDS,
        cancel: threading.Event | None = None,
    ) -> None:
        self.filter_pattern = filter_pattern
        #: Milliseconds by which the latest lines came late, by CloudWatch's clock; forgotten slowly.
        self.lag = 0.0
        self._aws = aws
        self._cancel = cancel
        self._prefix = stream_prefix
        self._request = {"logGroupName": TRAINING_LOGS, "logStreamNamePrefix": stream_prefix}
        self._overlap = overlap * 1000
        self._wide_every = wide_every
        self._most_ids = most_ids
        self._looks = 0
        self._newest: int | None = None  # what was read up to
        self._floor = since or 0  # no look reads what is older: such events are not remembered
        self._seen: dict[str, int] = {}  # event id -> timestamp
        self._unfinished: dict[str, Any] | None = None  # request for the next page of the look before

    def expect_streams(self, number: int) -> None:
        """Says how many streams there may be whose names begin with the prefix, silent ones included."""
        if number > MOST_STREAMS:
            self._request.pop("logStreamNamePrefix", None)

    @property
    def is_behind(self) -> bool:
        """Whether the last look has left something for the next one to read."""
        return self._unfinished is not None

    def look(self, wide: bool = False) -> list[LogEvent]:
        """The events that no look has given before, oldest first as far as they came in one look.

        Args:
            wide: Go back further than usual: something is missing.

        Raises:
            AwsError: No call succeeded; nothing is lost, the next look finds what this one could not.
        """
        self._looks += 1
        wide = wide or self._looks % self._wide_every == 0
        request = self._unfinished or self._beginning(wide)
        self._unfinished = None
        found: list[LogEvent] = []
        for _ in range(_MOST_PAGES):
            try:
                page = self._aws.call("logs", "filter_log_events", patience=_PATIENCE, cancel=self._cancel, **request)
            except NotFound:  # the first job of an account makes the group
                break
            except AwsError as error:
                if not found:
                    raise
                logger.warning("%s; the rest of the log is read by the next look", error)
                self._unfinished = request
                break
            found += self._new(page["events"])
            if not page.get("nextToken"):
                break
            request = {**request, "nextToken": page["nextToken"]}
        else:
            self._unfinished = request
        if self._looks % self._wide_every == 0 or len(self._seen) > self._most_ids:
            self._forget()
        return found

    def _beginning(self, wide: bool) -> dict[str, Any]:
        request: dict[str, Any] = dict(self._request)
        if self.filter_pattern:
            request["filterPattern"] = self.filter_pattern
        start = self._floor
        if self._newest is not None:
            back = (WIDE_OVERLAP * 1000 if wide else self._overlap) + min(self.lag, _MOST_LAG * 1000)
            start = max(start, self._newest - int(back))
        if start > 0:
            request["startTime"] = start
        return request

    def _new(self, events: Iterable[dict[str, Any]]) -> list[LogEvent]:
        found = []
        late = 0.0
        for event in events:
            event_id, timestamp = event["eventId"], event["timestamp"]
            if event_id in self._seen or not event["logStreamName"].startswith(self._prefix):
                continue
            self._seen[event_id] = timestamp
            found.append(LogEvent(event["logStreamName"], timestamp, event_id, event["message"]))
            arrived = event.get("ingestionTime", timestamp)
            # A writer whose clock is ahead must not hide what the others write.
            reached = min(timestamp, arrived)
            if self._newest is None or reached > self._newest:
                self._newest = reached
            late = max(late, arrived - timestamp)
        if found:
            self.lag = max(late, self.lag * 0.99)
        return found

    def _forget(self) -> None:
        """Forgets the ids of events that no look will read again."""
        if self._newest is None:
            return
        self._floor = max(self._floor, self._newest - int(WIDE_OVERLAP * 1000 + min(self.lag, _MOST_LAG * 1000)))
        if len(self._seen) > self._most_ids:
            # Half of them stay, so that this happens seldom; those of one millisecond stay together.
            self._floor = max(self._floor, sorted(self._seen.values())[-self._most_ids // 2])
        self._seen = {event_id: time for event_id, time in self._seen.items() if time >= self._floor}
