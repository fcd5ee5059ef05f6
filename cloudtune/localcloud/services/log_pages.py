"""GetLogEvents: one stream, page by page, in both directions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.services.log_request import EVENT_OVERHEAD, PAGE_BYTES, PAGE_EVENTS, LogRequest
from cloudtune.localcloud.services.log_tokens import StreamToken

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform
    from cloudtune.localcloud.services.log_lines import LogLines


def get_log_events(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """A page's lines come oldest first. At the end of the stream the forward token given is given back.

    Who keeps that token gets what has arrived since, and only that, whatever its time: see :class:`StreamToken`. AWS
    says nothing about lines that arrive late with times that a reader has passed; here a tail gets each line once.
    """
    request = LogRequest(platform, caller, params)
    limit = request.number("limit", 1, PAGE_EVENTS) or PAGE_EVENTS
    start, end = request.number("startTime"), request.number("endTime")
    given = request.text("nextToken")
    stream = request.stream()
    lines = stream.lines
    with platform.logs.arrivals.lock:
        count = len(lines)
        if given is None:
            forward = request.flag("startFromHead", default=False)
            token = StreamToken(forward, stream.identity, 0, count, 0 if forward else count)
        else:
            token = _in_next_chunk(StreamToken.parse(given, stream.identity, count), count)
        order = lines.by_time(token.begin, token.end)
        lowest = 0 if start is None else bisect_left(order, start, key=lines.time)
        highest = len(order) if end is None else bisect_left(order, end, key=lines.time)
        if token.forward:
            first = max(token.index, lowest)
            last = _reach(lines, order[first:highest], limit) + first
            before, after = first, last if last < highest else len(order)
        else:
            last = min(token.index, highest)
            first = last - _reach(lines, order[lowest:last][::-1], limit)
            before, after = first if first > lowest else 0, last
        events = [stream.line(position).to_response_dict() for position in order[first:last]]
    return {
        "events": events,
        "nextForwardToken": str(replace(token, forward=True, index=after)),
        "nextBackwardToken": str(replace(token, forward=False, index=before)),
    }


def _in_next_chunk(token: StreamToken, count: int) -> StreamToken:
    """The same place, seen from the chunk that lies in the token's direction if it has gone through its own."""
    if token.forward and token.index == token.end - token.begin and token.end < count:
        return replace(token, begin=token.end, end=count, index=0)
    if not token.forward and token.index == 0 and token.begin > 0:
        return replace(token, begin=0, end=token.begin, index=token.begin)
    return token


def _reach(lines: LogLines, positions: Sequence[int], limit: int) -> int:
    """How many of the lines fit into a page."""
    size = 0
    for number, position in enumerate(positions):
        size += lines.size(position) + EVENT_OVERHEAD
        if number == limit or (number and size > PAGE_BYTES):
            return number
    return len(positions)
