"""FilterLogEvents: the lines of many streams, in order of time."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudtune.localcloud.services.filter_pattern import FilterPattern
from cloudtune.localcloud.services.log_request import (
    EVENT_OVERHEAD,
    PAGE_BYTES,
    PAGE_EVENTS,
    LogRequest,
    invalid,
    read_token,
    write_token,
)
from cloudtune.localcloud.services.log_stream import CompactLogStream

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform


class _Place(NamedTuple):
    """Of a line among the lines of all streams; AWS orders by time, then by ingestion, then by request."""

    time: int
    arrival: int
    stream: str
    position: int


class _Search(NamedTuple):
    """What is asked for. ``snapshot`` is the number of the last batch that counts; ``after`` the last line given."""

    start: int | None
    end: int | None
    pattern: FilterPattern
    ascending: bool
    snapshot: int
    after: _Place | None

    def within(self, stream: CompactLogStream) -> Iterator[tuple[_Place, CompactLogStream]]:
        """The lines of one stream that are asked for, pattern aside, in the order asked for."""
        lines = stream.lines

        def place(position: int) -> _Place:
            return _Place(lines.time(position), lines.arrival(position), stream.log_stream_name, position)

        order = lines.by_time(0, lines.arrived_until(self.snapshot))
        first = 0 if self.start is None else bisect_left(order, self.start, key=lines.time)
        last = len(order) if self.end is None else bisect_right(order, self.end, key=lines.time)
        if self.after is not None and self.ascending:
            first = max(first, bisect_right(order, self.after, key=place))
        elif self.after is not None:
            last = min(last, bisect_left(order, self.after, key=place))
        wanted = range(first, last) if self.ascending else range(last - 1, first - 1, -1)
        return ((place(order[index]), stream) for index in wanted)


def filter_log_events(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Pages show the lines that had arrived when the first page was asked for, each once.

    ``searchedLogStreams`` is empty, as it is on AWS.
    """
    request = LogRequest(platform, caller, params)
    limit = request.number("limit", 1, PAGE_EVENTS) or PAGE_EVENTS
    pattern = FilterPattern.parse(request.text("filterPattern", may_be_empty=True) or "")
    ascending = request.flag("startFromHead", default=True)
    streams = _streams(platform, request)
    token = request.text("nextToken")
    after: _Place | None = None
    with platform.logs.arrivals.lock:
        snapshot = platform.logs.arrivals.last
        if token is not None:
            snapshot, *seen = read_token(token, (int, int, int, str, int))
            after = _Place(*seen)
        search = _Search(request.number("startTime"), request.number("endTime"), pattern, ascending, snapshot, after)
        events, last = _page(search, streams, limit)
    answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
    if last is not None:
        answer["nextToken"] = write_token([snapshot, *last])
    return answer


def _streams(platform: Platform, request: LogRequest) -> list[CompactLogStream]:
    group = request.group()
    names, prefix = request.items("logStreamNames", 100), request.text("logStreamNamePrefix")
    if names and prefix is not None:
        raise invalid("logStreamNames and logStreamNamePrefix cannot both be given.")
    if names:
        return [request.stream_of(group, str(name)) for name in dict.fromkeys(names)]
    return platform.logs.streams(group, prefix or "")


def _page(search: _Search, streams: list[CompactLogStream], limit: int) -> tuple[list[dict[str, Any]], _Place | None]:
    """The events of a page, and the place of the last one where there are more after it."""
    events: list[dict[str, Any]] = []
    size = 0
    last: _Place | None = None
    for place, stream in heapq.merge(*map(search.within, streams), reverse=not search.ascending, key=_first):
        message = stream.lines.text(place.position)
        if not search.pattern.matches(message):
            continue
        size += stream.lines.size(place.position) + EVENT_OVERHEAD
        if len(events) == limit or (events and size > PAGE_BYTES):
            return events, last
        line = stream.line(place.position)
        events.append({"logStreamName": place.stream, **line.to_filter_dict()})
        last = place
    return events, None


def _first(pair: tuple[_Place, CompactLogStream]) -> _Place:
    return pair[0]
