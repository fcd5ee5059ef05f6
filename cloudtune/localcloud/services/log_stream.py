"""A log stream that takes the place of moto's: compact, without an object per line, and readable by ingestion."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.core.utils import unix_time_millis, utcnow
from moto.logs.models import LogGroup, LogStream
from moto.utilities.utils import get_partition

from cloudtune.localcloud.clock import CloudClock
from cloudtune.localcloud.services.log_lines import LogLines


class Arrivals:
    """Numbers the batches of all streams of a cloud, so that a reader can tell what had arrived when it began.

    A number is the cloud time in microseconds, or one more than the number before where that is not later.
    """

    def __init__(self, clock: CloudClock) -> None:
        #: Held by whoever changes or reads lines, so that a number that was given is in its stream.
        self.lock = threading.RLock()
        self._clock = clock
        self.last = 0

    def next(self, after: int) -> int:
        """The number of a batch that comes after ``after`` too."""
        self.last = max(int(self._clock.time() * 1e6), self.last + 1, after + 1)
        return self.last


class LineOfLog:
    """One line in the form that moto's own readers (Insights queries, live tail) expect; made when they ask."""

    __slots__ = ("event_id", "ingestion_time", "message", "timestamp")

    def __init__(self, event_id: str, ingestion_time: int, timestamp: int, message: str) -> None:
        self.event_id = event_id
        self.ingestion_time = ingestion_time
        self.timestamp = timestamp
        self.message = message

    def to_response_dict(self) -> dict[str, Any]:
        """As GetLogEvents has it."""
        return {"ingestionTime": self.ingestion_time, "message": self.message, "timestamp": self.timestamp}

    def to_filter_dict(self) -> dict[str, Any]:
        """As FilterLogEvents has it, without the stream's name."""
        return {"eventId": self.event_id, **self.to_response_dict()}


class CompactLogStream(LogStream):
    """A log stream in moto's ``LogGroup.streams``. What moto's own code writes to it arrives like everything else."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> CompactLogStream:  # noqa: PYI034 - Self came with 3.11
        # moto's models remember each of their instances for ever, and with them the lines of deleted streams.
        return object.__new__(cls)

    def __init__(self, log_group: LogGroup, name: str, arrivals: Arrivals) -> None:  # not moto's: it sets `events`
        self.account_id = log_group.account_id
        self.region = log_group.region
        self.log_group = log_group
        self.log_stream_name = name
        self.arn = (
            f"arn:{get_partition(self.region)}:logs:{self.region}:{self.account_id}"
            f":log-group:{log_group.name}:log-stream:{name}"
        )
        self.creation_time = utcnow()
        self.upload_sequence_token = 0
        self.arrivals = arrivals
        self.lines = LogLines()

    @classmethod
    def in_place_of(cls, stream: LogStream, arrivals: Arrivals) -> CompactLogStream:
        """The compact form of a stream that moto made, with its lines, put where that was."""
        compact = cls(stream.log_group, stream.log_stream_name, arrivals)
        compact.creation_time = stream.creation_time
        compact.write([(event.timestamp, event.message) for event in stream.events])
        stream.log_group.streams[stream.log_stream_name] = compact
        return compact

    @functools.cached_property
    def identity(self) -> int:
        """Tells this stream from others, also from one of the same name that was deleted; is in tokens and event ids.

        Made of what is kept with a cloud that goes down, so that tokens outlive that.
        """
        made = f"{self.arn} {self.creation_time.isoformat()}"
        return int.from_bytes(hashlib.blake2b(made.encode(), digest_size=6).digest(), "big")

    @property  # moto's is an attribute; everything that is written comes through write()
    def stored_bytes(self) -> int:  # type: ignore[override]
        """Counted into the group's; a stream's own is no longer told."""
        return self.lines.bytes

    @property  # moto's is an attribute, a list of which its readers only ask to be iterated
    def events(self) -> Iterator[LineOfLog]:  # type: ignore[override]
        """The lines, oldest first."""
        with self.arrivals.lock:
            positions = self.lines.by_time(0, len(self.lines))
        return map(self.line, positions)

    def line(self, position: int) -> LineOfLog:
        """The line at a position of :attr:`lines`."""
        with self.arrivals.lock:
            return LineOfLog(
                f"{self.identity:016d}{position:040d}",
                self.lines.arrival(position) // 1000,
                self.lines.time(position),
                self.lines.text(position),
            )

    def write(self, lines: Sequence[tuple[int, str]]) -> str:
        """Adds lines (milliseconds, text) as one batch; returns the next sequence token, of which AWS makes no use."""
        with self.arrivals.lock:
            begin = len(self.lines)
            self.lines.append(lines, self.arrivals.next(self.lines.last_arrival))
            self.upload_sequence_token += 1
            if lines and self.log_group.subscription_filters:
                self._tell_subscribers(begin)
            return f"{self.upload_sequence_token:056d}"

    def _tell_subscribers(self, begin: int) -> None:
        new = [self.line(position) for position in range(begin, len(self.lines))]
        told = [{"id": line.event_id, "timestamp": line.timestamp, "message": line.message} for line in new]
        for subscription in self.log_group.subscription_filters.values():
            service = subscription.destination_arn.split(":")[2]
            self._send_log_events(service, subscription.destination_arn, subscription.name, told)

    def put_log_events(self, log_events: list[dict[str, Any]]) -> str:
        return self.write([(event["timestamp"], event["message"]) for event in log_events])

    def to_describe_dict(self) -> dict[str, Any]:
        description: dict[str, Any] = {
            "arn": self.arn,
            "creationTime": int(unix_time_millis(self.creation_time)),
            "logStreamName": self.log_stream_name,
            "storedBytes": 0,
        }
        with self.arrivals.lock:
            if len(self.lines):
                description.update(
                    firstEventTimestamp=self.lines.first_time,
                    lastEventTimestamp=self.lines.last_time,
                    lastIngestionTime=self.lines.last_arrival // 1000,
                    uploadSequenceToken=f"{self.upload_sequence_token:056d}",
                )
        return description

    def __getstate__(self) -> Mapping[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "arrivals"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        # Until the store of the cloud that it now belongs to takes it over.
        self.arrivals = Arrivals(CloudClock())
