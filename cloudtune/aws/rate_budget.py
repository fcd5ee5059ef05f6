"""How often each operation may be called: a token bucket per operation that learns from refusals."""

from __future__ import annotations

import random as random_module
import threading
import time
from collections.abc import Callable, Mapping

AWS_RATES: Mapping[str, float] = {}


def wait_for(seconds: float, cancel: threading.Event | None) -> None:
    """Blocks for so long, or until ``cancel`` is set."""
    (cancel or threading.Event()).wait(seconds)


class RateBudget:
    """Paces calls; shared by all threads of a process."""

    def __init__(
        self,
        rates: Mapping[str, float] = AWS_RATES,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float, threading.Event | None], object] = wait_for,
        random: random_module.Random | None = None,
    ) -> None:
        raise NotImplementedError

    def acquire(self, operation: str, cancel: threading.Event | None = None) -> bool:
        """Blocks until ``service:Operation`` may be called. False: ``cancel`` was set before."""
        raise NotImplementedError

    def throttled(self, operation: str) -> None:
        """AWS has refused a call: the next ones wait longer."""
        raise NotImplementedError

    def succeeded(self, operation: str) -> None:
        """AWS has admitted a call: the next ones may come sooner again."""
        raise NotImplementedError
