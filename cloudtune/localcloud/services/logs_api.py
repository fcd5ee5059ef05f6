"""The operations of CloudWatch Logs that are ours; all others are moto's, on the same log groups."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.services.log_pages import get_log_events
from cloudtune.localcloud.services.log_request import (
    EVENT_OVERHEAD,
    PAGE_BYTES,
    PAGE_EVENTS,
    LogRequest,
    invalid,
    read_token,
    write_token,
)
from cloudtune.localcloud.services.log_search import filter_log_events
from cloudtune.localcloud.services.operation import Operation

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform
    from cloudtune.localcloud.services.log_stream import CompactLogStream

_HOUR = 3_600_000
_DAY = 24 * _HOUR


def put_log_events(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Adds a batch to a stream that exists.

    Limits, from PutLogEvents' reference: 10,000 events and 1,048,576 bytes a batch, 26 of them for each event; 1 MB an
    event (256 KB until 2025); in order of time; within 24 hours. Lines older than 14 days or than the group's
    retention, and those more than 2 hours ahead, are left out and told of. Where cloud time runs fast, lines with real
    times are as welcome as lines with cloud times.
    """
    request = LogRequest(platform, caller, params)
    stream = request.stream()
    lines = _lines(request.items("logEvents", PAGE_EVENTS))
    kept, rejected = _in_time(platform, stream, lines)
    if kept and kept[-1][0] - kept[0][0] > _DAY:
        raise invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    platform.logs.put(caller.account, caller.region, stream.log_group.name, stream.log_stream_name, kept)
    answer: dict[str, Any] = {"nextSequenceToken": f"{stream.upload_sequence_token:056d}"}
    if rejected:
        answer["rejectedLogEventsInfo"] = rejected
    return answer


def _lines(events: list[Any]) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    size = 0
    for event in events:
        moment, message = (event.get("timestamp"), event.get("message")) if isinstance(event, dict) else (None, None)
        if not isinstance(moment, int) or moment < 0 or not isinstance(message, str) or not message:
            raise invalid("Every log event needs a timestamp in milliseconds and a message that is not empty.")
        length = len(message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD
        if length > PAGE_BYTES:
            raise invalid(f"Log event too large: {length} bytes exceeds limit of {PAGE_BYTES}")
        size += length
        lines.append((moment, message))
    if not lines:
        raise invalid(
            "1 validation error detected: Value '[]' at 'logEvents' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )
    if size > PAGE_BYTES:
        raise invalid(f"Upload too large: {size} bytes exceeds limit of {PAGE_BYTES}")
    if any(earlier[0] > later[0] for earlier, later in pairwise(lines)):
        raise invalid("Log events in a single PutLogEvents request must be in chronological order.")
    return lines


def _in_time(
    platform: Platform, stream: CompactLogStream, lines: list[tuple[int, str]]
) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """The lines that CloudWatch takes, and what it tells of the others. The lines are in order of time."""
    clocks = (int(time.time() * 1000), int(platform.clock.time() * 1000))
    too_old = _before(lines, min(clocks) - 14 * _DAY)
    too_new = _before(lines, max(clocks) + 2 * _HOUR + 1)
    retention = stream.log_group.retention_in_days
    expired = _before(lines, min(clocks) - int(retention) * _DAY) if retention else 0
    rejected: dict[str, int] = {}
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired:
        rejected["expiredLogEventEndIndex"] = expired
    if too_new < len(lines):
        rejected["tooNewLogEventStartIndex"] = too_new
    return lines[max(too_old, expired) : too_new], rejected


def _before(lines: list[tuple[int, str]], moment: int) -> int:
    return sum(line[0] < moment for line in lines)


def describe_log_streams(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """The streams of a group by name, or by the time of their newest line (streams without one first)."""
    request = LogRequest(platform, caller, params)
    group = request.group()
    prefix, order = request.text("logStreamNamePrefix"), request.text("orderBy") or "LogStreamName"
    limit = request.number("limit", 1, 50) or 50
    if order not in ("LogStreamName", "LastEventTime"):
        raise invalid(
            f"1 validation error detected: Value '{order}' at 'orderBy' failed to satisfy constraint: "
            "Member must satisfy enum value set: [LogStreamName, LastEventTime]"
        )
    by_time = order == "LastEventTime"
    if by_time and prefix is not None:
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    descending = request.flag("descending", default=False)
    rows = [
        ((stream.lines.last_time or 0) if by_time else 0, stream.log_stream_name, stream)
        for stream in platform.logs.streams(group, prefix or "")
    ]
    token = request.text("nextToken")
    if token is not None:
        after = tuple(read_token(token, (int, str)))
        rows = [row for row in rows if (row[:2] < after if descending else row[:2] > after)]
    rows.sort(key=lambda row: row[:2], reverse=descending)
    answer: dict[str, Any] = {"logStreams": [stream.to_describe_dict() for _, _, stream in rows[:limit]]}
    if len(rows) > limit:
        answer["nextToken"] = write_token(list(rows[limit - 1][:2]))
    return answer


#: Name of the operation -> what answers it. All others are moto's.
OPERATIONS: Mapping[str, Operation] = {
    "PutLogEvents": put_log_events,
    "GetLogEvents": get_log_events,
    "FilterLogEvents": filter_log_events,
    "DescribeLogStreams": describe_log_streams,
}
