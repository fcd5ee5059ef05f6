"""Which order to end the agent follows, and how much time it has."""

from __future__ import annotations

import time

from cloudtune.agent.agent_errors import Over
from cloudtune.agent.events import CRASH, SILENCE, TERMINATE, WISH, Event, Events
from cloudtune.agent.protocol import FAILED, PAUSED, STOPPED, TERMINATED, WISH_PAUSE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds from the platform's SIGTERM until all is to be done; it kills after 120.
TERMINATION_TIME = 100.0


class Orders:
    """The first order to end counts; the platform's SIGTERM besides sets the time by which all must be over.

    Args:
        events: Where orders arrive.
        clock: Seconds that only grow.
    """

    def __init__(self, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self.order: Over | None = None
        self.events = events
        self._clock = clock
        self._terminated: float | None = None

    @property
    def terminated(self) -> bool:
        """Whether the platform has sent SIGTERM."""
        return self._terminated is not None

    def take(self, event: Event | None) -> None:
        """Notes the order in an event, if it is one."""
        if event is None:
            return
        if event.kind == TERMINATE and self._terminated is None:
            self._terminated = self._clock()
        order = _order_in(event)
        if self.order is None:
            self.order = order

    def take_all(self) -> None:
        """Notes what has arrived."""
        while True:
            event = self.events.wait(0.0)
            if event is None:
                return
            self.take(event)

    def time_left(self, patience: float, since: float) -> float:
        """Seconds for something that began at ``since`` and may take ``patience`` seconds; less after SIGTERM."""
        until = since + patience
        if self._terminated is not None:
            until = min(until, self._terminated + TERMINATION_TIME)
        return until - self._clock()


def _order_in(event: Event) -> Over | None:
    if event.kind == TERMINATE:
        return Over(TERMINATED, "the container was sent SIGTERM")
    if event.kind == WISH:
        return Over(PAUSED if event.detail == WISH_PAUSE else STOPPED)
    if event.kind == SILENCE:
        return Over(PAUSED, event.detail)
    if event.kind == CRASH:
        return Over(FAILED, event.detail)
    return None
