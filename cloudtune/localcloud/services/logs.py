"""The logs of a cloud: what its jobs and its clients write, delivered at once or as the faults in force say."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moto.logs.models import LogGroup, logs_backends

from cloudtune.localcloud.fault_plan import FaultCase
from cloudtune.localcloud.services.log_stream import Arrivals, CompactLogStream

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Milliseconds since 1970, and the text.
Line = tuple[int, str]


@dataclass(frozen=True)
class Place:
    """A log stream, whether it exists or not."""

    account: str
    region: str
    group: str
    stream: str


@dataclass(order=True)
class _Delivery:
    """Lines on their way: to be readable from ``due`` on (cloud time), for whoever still has these ``groups``."""

    due: float
    number: int
    place: Place = field(compare=False)
    lines: Sequence[Line] = field(compare=False)
    groups: dict[str, LogGroup] = field(compare=False)


class LogStore:
    """CloudWatch's log streams, kept in moto's own log groups so that its reset and its other operations see them.

    A stream exists from its first line on, as on AWS. Late and shuffled lines wait here; they are delivered by whoever
    looks next after their time, so the store needs no thread.

    Args:
        platform: Its clock, faults and settings are used.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.arrivals = Arrivals(platform.clock)
        self._waiting: list[_Delivery] = []
        self._batches = 0

    def put(self, account: str, region: str, group: str, stream: str, events: Sequence[Line]) -> None:
        """Writes lines to a stream; group and stream are made where they do not exist.

        Args:
            account: Twelve digits.
            region: Such as ``us-east-1``.
            group: Name of the log group.
            stream: Name of the log stream. What stands before its first ``/`` is taken for the job's name.
            events: Milliseconds since 1970 and text of each line, in the order they were written.
        """
        if not events:
            return
        case = FaultCase(job=stream.partition("/")[0], resource=f"{group}/{stream}")
        faults = self._platform.faults.for_logs(case)
        place = Place(account, region, group, stream)
        if not faults:
            self._deliver(place, events)
            return
        late = faults["late_logs"].seconds if "late_logs" in faults else 0.0
        within = faults["shuffled_logs"].seconds if "shuffled_logs" in faults else None
        with self.arrivals.lock:
            self._batches += 1
            due = self._platform.clock.time() + late
            groups = logs_backends[account][region].groups
            if within is None:
                self._wait(_Delivery(due, self._batches << 32, place, list(events), groups))
                return
            draws = random.Random(f"{self._platform.settings.seed}/{place}/{self._batches}")
            for index, event in enumerate(events):
                drawn = due + within * draws.random()
                self._wait(_Delivery(drawn, self._batches << 32 | index, place, [event], groups))

    def deliver(self, everything: bool = False) -> None:
        """Makes readable what is due, or ``everything`` that waits. To be called before anything is read."""
        with self.arrivals.lock:
            if not self._waiting:
                return
            now = float("inf") if everything else self._platform.clock.time()
            while self._waiting and self._waiting[0].due <= now:
                delivery = heapq.heappop(self._waiting)
                place = delivery.place
                # After moto's reset the lines' account has another set of groups: these lines are of a past state.
                if logs_backends[place.account][place.region].groups is delivery.groups:
                    self._deliver(place, delivery.lines)

    def waiting(self) -> int:
        """How many lines are still on their way."""
        with self.arrivals.lock:
            return sum(len(delivery.lines) for delivery in self._waiting)

    def group(self, account: str, region: str, name: str) -> LogGroup | None:
        """The log group of that name."""
        group: LogGroup | None = logs_backends[account][region].groups.get(name)
        return group

    def stream(self, group: LogGroup, name: str) -> CompactLogStream | None:
        """The stream of that name, in its compact form."""
        with self.arrivals.lock:
            stream = group.streams.get(name)
            if stream is None:
                return None
            if not isinstance(stream, CompactLogStream):
                stream = CompactLogStream.in_place_of(stream, self.arrivals)
            # A stream that was kept from an earlier cloud.
            stream.arrivals = self.arrivals
            return stream

    def streams(self, group: LogGroup, prefix: str = "") -> list[CompactLogStream]:
        """The streams whose names begin with ``prefix``, by name."""
        names = sorted(name for name in list(group.streams) if name.startswith(prefix))
        found = (self.stream(group, name) for name in names)
        return [stream for stream in found if stream is not None]

    def close(self) -> None:
        """Forgets the lines that are still on their way."""
        with self.arrivals.lock:
            self._waiting.clear()

    def _wait(self, delivery: _Delivery) -> None:
        heapq.heappush(self._waiting, delivery)

    def _deliver(self, place: Place, lines: Sequence[Line]) -> None:
        with self.arrivals.lock:
            group = self.group(place.account, place.region, place.group)
            if group is None:
                group = logs_backends[place.account][place.region].create_log_group(place.group, {})
            stream = self.stream(group, place.stream)
            if stream is None:
                stream = group.streams[place.stream] = CompactLogStream(group, place.stream, self.arrivals)
            stream.write(lines)
