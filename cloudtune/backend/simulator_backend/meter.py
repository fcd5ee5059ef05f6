"""What simulated workers cost, and when that reaches a limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cloudtune.backend.simulator_backend.attempt import SimulatedAttempt
from cloudtune.trial import Bill

#: A limit is reached this much beyond it: sums of floats that are made in another order have reached it then, too.
_BEYOND = 1 + 1e-9


class Meter:
    """Runs while workers are busy. Times are virtual seconds.

    Args:
        price: Dollars for a second of a worker; None: not known.
        end: Seconds from the last report of a trial that ends by itself until its worker is free.
        attempts: Those whose end was not told yet; whoever changes them calls :meth:`foresee`.
    """

    def __init__(self, price: float | None, end: float, attempts: Mapping[int, SimulatedAttempt]) -> None:
        self._price = price
        self._end = end
        self._attempts = attempts
        self._settled = 0.0
        #: In dollars; the next one is the last.
        self._limits: list[float] = []
        #: When the next limit is reached; infinite: none will be by what runs.
        self.due = math.inf

    def watch(self, limits: Sequence[float], spent: float) -> None:
        """See :meth:`TrialBackend.watch_cost`."""
        if self._price:
            self._settled = spent
            self._limits = sorted((limit for limit in limits if limit > spent), reverse=True)

    def settle(self, attempt: SimulatedAttempt) -> Bill | None:
        """The bill of an attempt that has ended; None: no price is known."""
        if self._price is None:
            return None
        bill = self._bill(self._price, attempt, math.inf, final=True)
        self._settled += bill.dollars or 0.0
        return bill

    def foresee(self, now: float) -> None:
        """Reckons when the next limit is reached: an attempt has begun, was told to end, or has ended."""
        if not self._limits or not self._price:
            return
        self.due = math.inf
        left = (self._limits[-1] * _BEYOND - self._settled) / self._price
        left -= sum(self._seconds(attempt, now) for attempt in self._attempts.values())
        ends = sorted(end for attempt in self._attempts.values() if (end := attempt.free_at(self._end)) > now)
        begin = now
        for busy, end in zip(range(len(ends), 0, -1), ends, strict=True):
            if left <= busy * (end - begin):
                self.due = begin + max(0.0, left / busy)
                return
            left -= busy * (end - begin)
            begin = end

    def read(self, now: float) -> list[Bill]:
        """Bills that are not final, of all that runs: a limit is reached."""
        price = self._price or 0.0
        bills = [self._bill(price, attempt, now, final=False) for attempt in self._attempts.values()]
        cost = self._settled + sum(bill.dollars or 0.0 for bill in bills)
        self._limits.pop()
        self._limits = [limit for limit in self._limits if limit > cost]
        self.due = math.inf
        self.foresee(now)
        return bills

    def _seconds(self, attempt: SimulatedAttempt, now: float) -> float:
        return min(now, attempt.free_at(self._end)) - attempt.started

    def _bill(self, price: float, attempt: SimulatedAttempt, now: float, final: bool) -> Bill:
        seconds = self._seconds(attempt, now)
        return Bill(attempt.trial_id, attempt.number, price * seconds, seconds, 0.0, "simulated", final)
