"""How long jobs take from the end of their script to their own end, learnt from the jobs of the experiment."""

from __future__ import annotations

import statistics
from collections import deque

#: Asking again: multiples of the typical time, to which the cadence adds seconds.
_MULTIPLES = (1.0, 1.15, 1.4, 2.0, 3.0)


class SettleTimes:
    """When to ask whether a job is over: soon after it probably is, and at most five times.

    Args:
        extra: Seconds added to the multiples of the typical time, ascending.
        first_guess: Seconds, before anything was seen.
    """

    def __init__(self, extra: tuple[float, ...], first_guess: float = 1.0) -> None:
        self._extra = extra
        self._seen: deque[float] = deque([first_guess], maxlen=31)

    @property
    def most(self) -> int:
        """How often to ask."""
        return min(len(self._extra), len(_MULTIPLES))

    def delay(self, asked: int) -> float | None:
        """Seconds after the end mark at which to ask, having asked ``asked`` times; None: no more."""
        if asked >= self.most:
            return None
        return statistics.median(self._seen) * _MULTIPLES[asked] + (self._extra[asked] if asked else 0.0)

    def learn(self, not_over_at: float, over_at: float) -> None:
        """A job was not over ``not_over_at`` seconds after its end mark (0: never asked), and was at ``over_at``."""
        # In between, it is not known when: the middle keeps the typical time from creeping up with our own delays.
        self._seen.append((not_over_at + over_at) / 2 if not_over_at else over_at * 0.8)
