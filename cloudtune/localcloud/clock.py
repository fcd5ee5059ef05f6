"""The clock of a local cloud: real time, or a multiple of it."""

from __future__ import annotations

import datetime as dt
import threading
import time


class CloudClock:
    """Cloud time runs ``scale`` times as fast as real time, beginning with the real time at which the cloud began.

    Every duration that SageMaker imposes or counts is in cloud seconds: start-up delays, the grace after a stop,
    maximum runtime and waiting time, warm pools, billable seconds, rates of the API. So with ``scale=1000`` a start-up
    of three minutes takes 0.18 real seconds. Scripts compute in real time: they look as slow as the scale is large.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if not 0 < scale < float("inf"):
            raise ValueError(f"time_scale is {scale!r}; it must be a positive number of cloud seconds per real second.")
        self.scale = scale
        self.began = time.time()
        self._origin = time.monotonic()

    def time(self) -> float:
        """Cloud seconds since 1970. Never goes back."""
        return self.began + self.elapsed()

    def elapsed(self) -> float:
        """Cloud seconds since the cloud began."""
        return (time.monotonic() - self._origin) * self.scale

    def now(self) -> dt.datetime:
        """Cloud time as a date, in UTC."""
        return dt.datetime.fromtimestamp(self.time(), dt.timezone.utc)

    def not_before(self, moment: float) -> None:
        """Puts the clock forward to a cloud time, if it is earlier: the time of a cloud whose state is taken over."""
        self.began += max(0.0, moment - self.time())

    def real(self, seconds: float) -> float:
        """How many real seconds a thread must wait for these cloud seconds to pass; no more than threads can."""
        return min(seconds / self.scale, threading.TIMEOUT_MAX)
