"""The course of a simulation: its clock, what runs, and what happens next. Times are virtual seconds from 0."""

from __future__ import annotations

import heapq
import math

from cloudtune.backend.simulator_backend.attempt import SimulatedAttempt
from cloudtune.backend.simulator_backend.meter import Meter
from cloudtune.blackbox.blackbox import Curve
from cloudtune.trial import Config, End


class Course:
    """What a simulator holds while it is open.

    Args:
        max_resource_attr: Key of a configuration that tells how far to train, or None.
        price: Dollars for a second of a worker; None: not known.
        end: Seconds from the last report of a trial that ends by itself until its worker is free.
    """

    def __init__(self, max_resource_attr: str | None, price: float | None, end: float) -> None:
        self.max_resource_attr = max_resource_attr
        self.now = 0.0
        self.attempts: dict[int, SimulatedAttempt] = {}
        self.meter = Meter(price, end, self.attempts)
        #: The resource of each trial's checkpoint, as its last attempt that ended has left it.
        self.levels: dict[int, int] = {}
        #: Of each trial that may go on, its configuration and its curve.
        self.curves: dict[int, tuple[Config, Curve]] = {}
        #: Ends of attempts that an earlier tuner has left.
        self.left: list[End] = []
        self._heap: list[tuple[float, int, SimulatedAttempt, int]] = []
        self._count = 0

    def foresee(self, time: float, attempt: SimulatedAttempt) -> None:
        """An attempt does its next thing then; what was foreseen first comes first where times are equal."""
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, attempt, attempt.generation))

    def change(self, time: float, attempt: SimulatedAttempt) -> None:
        """What was foreseen of an attempt does not happen: it does its next thing then."""
        attempt.generation += 1
        self.foresee(time, attempt)

    def next_time(self) -> float:
        """When something happens next; infinite: nothing does."""
        heap = self._heap
        while heap:
            time, _, attempt, generation = heap[0]
            if generation == attempt.generation:
                return time
            heapq.heappop(heap)
        return math.inf

    def next_attempt(self) -> SimulatedAttempt:
        """The attempt that :meth:`next_time` speaks of; it is to be popped, or to go on."""
        return self._heap[0][2]

    def pop(self) -> None:
        """That attempt has done its last thing."""
        heapq.heappop(self._heap)

    def go_on(self, time: float, attempt: SimulatedAttempt) -> None:
        """That attempt has done what was foreseen, and does its next thing then."""
        self._count += 1
        heapq.heapreplace(self._heap, (time, self._count, attempt, attempt.generation))
