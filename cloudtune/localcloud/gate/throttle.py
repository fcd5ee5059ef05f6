"""Rates of API calls, as AWS limits them: a token bucket per operation, account and region."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from cloudtune.localcloud.clock import CloudClock

#: Calls that come exactly at the permitted rate are not to be refused for the rounding of binary fractions.
_ROUNDING = 1e-9


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Throttle:
    """Admits calls at limited rates. Thread-safe.

    Each bucket holds as many calls as its rate allows in a second, at least one, and is full in the beginning.

    Args:
        clock: The cloud's: rates are per cloud second.
        rates: ``service:Operation`` -> calls per second; operations without an entry are not limited.
    """

    def __init__(self, clock: CloudClock, rates: Mapping[str, float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rates: dict[str, float] = {}
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self.set_rates(rates)

    def rates(self) -> dict[str, float]:
        """The rates in force."""
        return dict(self._rates)

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Replaces all rates; all buckets are full again. Raises ValueError for a rate that is not positive."""
        for operation, rate in rates.items():
            if not 0 < rate < float("inf"):
                raise ValueError(
                    f"The rate of {operation} is {rate!r}; it must be a positive number of calls per second. "
                    "Leave the operation out to lift its limit."
                )
        with self._lock:
            self._rates = dict(rates)
            self._buckets = {}

    def admit(self, operation: str, account: str, region: str) -> bool:
        """Whether a call of ``service:Operation`` is allowed now. An allowed call uses up a token."""
        if operation not in self._rates:
            return True
        with self._lock:
            rate = self._rates.get(operation)
            if rate is None:
                return True
            now = self._clock.elapsed()
            burst = max(1.0, rate)
            bucket = self._buckets.setdefault((operation, account, region), _Bucket(burst, now))
            bucket.tokens = min(burst, bucket.tokens + (now - bucket.filled_at) * rate)
            bucket.filled_at = now
            if bucket.tokens < 1 - _ROUNDING:
                return False
            bucket.tokens -= 1
            return True
