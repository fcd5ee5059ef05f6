"""What simulated workers cost, and when that reaches a limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cloudtune.backend.simulator_backend.attempt import SimulatedAttempt
from cloudtune.trial import Bill

#: A limit is reached this much beyond it: sums of floats that are made in another order have reached it then, too.
_BEYOND = 1 + 1e-9

#: Below this share of a limit, what is known as a bound has not reached it for certain, however its sums are rounded.
_SAFE = 1 - 1e-6


class Meter:
    """Runs while workers are busy. Times are virtual seconds.

    When a limit is reached depends on all that runs, and changes whenever something begins or ends. It is reckoned only
    where it may matter: all workers busy until the next event cost no less than they will have, and while even that
    does not reach the limit it is not due.

    Args:
        price: Dollars for a second of a worker; None: not known.
        end: Seconds from the last report of a trial that ends by itself until its worker is free.
        attempts: Those whose end was not told yet; whoever changes them calls :meth:`changed`.
    """

    def __init__(self, price: float | None, end: float, attempts: Mapping[int, SimulatedAttempt]) -> None:
        self._price = price
        self._end = end
        self._attempts = attempts
        self._settled = 0.0
        #: In dollars; the next one is the last.
        self._limits: list[float] = []
        #: When the next limit is reached, by what runs since the last change; infinite: it is not. None: not reckoned.
        self._due: float | None = math.inf
        #: Of the last change: its time, how many attempts there were from then on, and a bound of seconds until then.
        self._changed_at = 0.0
        self._busy = 0
        self._most = 0.0

    def watch(self, limits: Sequence[float], spent: float) -> None:
        """See :meth:`TrialBackend.watch_cost`."""
        if self._price:
            self._settled = spent
            self._limits = sorted((limit for limit in limits if limit > spent), reverse=True)
            self._due, self._most = (None if self._limits else math.inf), math.inf

    def settle(self, attempt: SimulatedAttempt) -> Bill | None:
        """The bill of an attempt that has ended; None: no price is known."""
        if self._price is None:
            return None
        bill = self._bill(self._price, attempt, math.inf, final=True)
        self._settled += bill.dollars or 0.0
        return bill

    def changed(self, now: float) -> None:
        """An attempt has begun, was told to end, or has ended: when the next limit is reached is another time."""
        if self._limits:
            self._most += self._busy * (now - self._changed_at)
            self._changed_at, self._busy = now, len(self._attempts)
            self._due = None

    def due(self, by: float) -> float:
        """When the next limit is reached; infinite: by what runs it is not, or not before this time."""
        if self._due is None:
            if not self._attempts or not self._may_be_due(by):
                return math.inf
            self._due = self._reckon(self._changed_at)
        return self._due

    def _may_be_due(self, by: float) -> bool:
        """False: the next limit is not reached before then, even if all workers are busy all the while."""
        assert self._price is not None
        most = self._most + self._busy * (by - self._changed_at)
        return not most * self._price < self._limits[-1] * _SAFE

    def _reckon(self, now: float) -> float:
        """When the next limit is reached, by what runs since ``now``."""
        assert self._price is not None
        running = sum(self._seconds(attempt, now) for attempt in self._attempts.values())
        self._most = self._settled / self._price + running
        left = (self._limits[-1] * _BEYOND - self._settled) / self._price
        left -= running
        ends = sorted(end for attempt in self._attempts.values() if (end := attempt.free_at(self._end)) > now)
        begin = now
        for busy, end in zip(range(len(ends), 0, -1), ends, strict=True):
            if left <= busy * (end - begin):
                return begin + max(0.0, left / busy)
            left -= busy * (end - begin)
            begin = end
        return math.inf

    def read(self, now: float) -> list[Bill]:
        """Bills that are not final, of all that runs: a limit is reached."""
        price = self._price or 0.0
        bills = [self._bill(price, attempt, now, final=False) for attempt in self._attempts.values()]
        cost = self._settled + sum(bill.dollars or 0.0 for bill in bills)
        self._limits.pop()
        self._limits = [limit for limit in self._limits if limit > cost]
        self._due = math.inf
        self.changed(now)
        return bills

    def _seconds(self, attempt: SimulatedAttempt, now: float) -> float:
        return min(now, attempt.free_at(self._end)) - attempt.started

    def _bill(self, price: float, attempt: SimulatedAttempt, now: float, final: bool) -> Bill:
        seconds = self._seconds(attempt, now)
        return Bill(attempt.trial_id, attempt.number, price * seconds, seconds, 0.0, "simulated", final)
