"""How often each operation may be called: a token bucket per operation, which learns from AWS's refusals.

AWS's limits count for a whole account and region, and nobody tells a process how many others share them. So a process
starts at the published rate; each refusal makes it wait longer by a factor, up to a bound, and each admitted call makes
that wait shorter. Twenty processes that share one call a second then ask about seven times for each call that is
admitted: often enough for AWS's bucket to be nearly always empty, and seldom enough to be no burden. A refused call
uses up nothing at AWS, as far as is known.
"""

from __future__ import annotations

import math
import os
import random as random_module
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cloudtune.aws.fork_safety import renew_after_fork

#: Calls per second. CreateTrainingJob: AWS's quota page (1/s). ListTrainingJobs (2/s, not adjustable) and
#: FilterLogEvents (5/s): what users report. The others are not published: guesses on the careful side. Slightly less
#: than allowed where it is known: calls spaced by exactly the limit arrive closer than that now and then.
AWS_RATES: Mapping[str, float] = {
    "sagemaker:CreateTrainingJob": 0.97,
    "sagemaker:StopTrainingJob": 0.97,
    "sagemaker:UpdateTrainingJob": 0.97,
    "sagemaker:DeleteTrainingJob": 0.97,
    "sagemaker:ListTrainingJobs": 1.9,
    "sagemaker:Search": 1.9,
    "sagemaker:AddTags": 1.9,
    "sagemaker:ListTags": 4.0,
    "sagemaker:DescribeTrainingJob": 9.0,
    "logs:FilterLogEvents": 4.8,
    "logs:GetLogEvents": 9.0,
    "logs:DescribeLogStreams": 4.8,
    "iam:SimulatePrincipalPolicy": 2.0,
    "service-quotas:ListServiceQuotas": 4.0,
}

#: Replaces some of them, for accounts that have been granted more: ``sagemaker:CreateTrainingJob=5``.
ENV_RATES = "CLOUDTUNE_AWS_RATES"

#: After a refusal: the first wait and the longest, in seconds for an operation of one call per second; by what factor
#: the wait grows with a refusal (below a second, where one may merely have come a little early, and above it) and
#: shrinks with an admission. Chosen by simulation: see the tests.
FIRST_WAIT = 0.15
LONGEST_WAIT = 3.0
FAST_GROWTH = 2.0
GROWTH = 1.15
SHRINK = 0.4
#: Each wait is multiplied by a random number of this range, so that processes do not ask in step; after an admission it
#: is at least a second before, so that a process does not come just when AWS's bucket is full again, each time.
JITTER = (0.5, 1.5)
JITTER_AFTER_SUCCESS = (0.7, 1.7)


def wait_for(seconds: float, cancel: threading.Event | None) -> None:
    """Blocks for so long, or until ``cancel`` is set."""
    (cancel or threading.Event()).wait(seconds)


@dataclass
class _Pace:
    """What is known of one operation: ``ready_at`` is when the next call may come; ``wait`` grows with refusals."""

    rate: float | None
    tokens: float = 0.0
    filled_at: float = 0.0
    wait: float = 0.0
    ready_at: float = 0.0

    @property
    def unit(self) -> float:
        """Seconds per call at the nominal rate; operations without one are taken for quick ones."""
        return 1 / self.rate if self.rate is not None else 0.2


class RateBudget:
    """Paces calls; shared by all threads of a process. A forked child begins with one of its own.

    Args:
        rates: ``service:Operation`` -> calls per second, in bursts of as many calls (at least one). An operation
            without an entry is paced only after it was refused.
        clock: Seconds that never go back.
        sleep: Blocks for some seconds, or until the event is set.
        random: Where the jitter comes from.
    """

    def __init__(
        self,
        rates: Mapping[str, float] = AWS_RATES,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float, threading.Event | None], object] = wait_for,
        random: random_module.Random | None = None,
    ) -> None:
        self._rates = dict(rates)
        self._clock = clock
        self._sleep = sleep
        self._random = random or random_module.Random()
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # the parent's may have been held by a thread that does not exist here
        self._paces = {}
        self._random = random_module.Random()  # children with the same random numbers would ask in step

    def acquire(self, operation: str, cancel: threading.Event | None = None) -> bool:
        """Blocks until ``service:Operation`` may be called. False: ``cancel`` was set before that."""
        while True:
            if cancel is not None and cancel.is_set():
                return False
            seconds = self.take(operation)
            if seconds <= 0:
                return True
            self._sleep(seconds, cancel)

    def take(self, operation: str) -> float:
        """0 if ``service:Operation`` may be called now, which then counts; else the seconds to wait before asking."""
        with self._lock:
            now = self._clock()
            pace = self._pace(operation, now)
            if now < pace.ready_at:
                return pace.ready_at - now
            if pace.rate is not None:
                pace.tokens = min(max(1.0, pace.rate), pace.tokens + (now - pace.filled_at) * pace.rate)
                pace.filled_at = now
                if pace.tokens < 1 - 1e-9:  # binary fractions are rounded
                    return (1 - pace.tokens) / pace.rate
                pace.tokens -= 1
            if pace.wait:  # one call at a time until AWS admits them again
                pace.ready_at = now + pace.wait
            return 0.0

    def throttled(self, operation: str) -> None:
        """AWS has refused a call: the next ones wait longer. The refused one has not used up its token."""
        with self._lock:
            now = self._clock()
            pace = self._pace(operation, now)
            unit = pace.unit
            longer = pace.wait * (GROWTH if pace.wait >= unit else FAST_GROWTH)
            pace.wait = min(LONGEST_WAIT * unit, max(FIRST_WAIT * unit, longer))
            pace.ready_at = now + pace.wait * self._random.uniform(*JITTER)
            if pace.rate is not None:
                pace.tokens = min(max(1.0, pace.rate), pace.tokens + 1)

    def succeeded(self, operation: str) -> None:
        """AWS has admitted a call: the next ones may come sooner again."""
        with self._lock:
            now = self._clock()
            pace = self._pace(operation, now)
            if not pace.wait:
                return
            pace.wait *= SHRINK
            if pace.wait < FIRST_WAIT * pace.unit:
                pace.wait = pace.ready_at = 0.0
            else:
                pace.ready_at = now + max(pace.wait, pace.unit) * self._random.uniform(*JITTER_AFTER_SUCCESS)

    def _pace(self, operation: str, now: float) -> _Pace:
        pace = self._paces.get(operation)
        if pace is None:
            rate = self._rates.get(operation)
            pace = self._paces[operation] = _Pace(rate, max(1.0, rate or 1.0), now)
        return pace


_process_lock = threading.Lock()
_process_budgets: dict[str, RateBudget] = {}


def process_budget() -> RateBudget:
    """The budget that all calls of this process share, with the rates of ``$CLOUDTUNE_AWS_RATES`` if that is set."""
    given = os.environ.get(ENV_RATES, "")
    budget = _process_budgets.get(given)
    if budget is None:
        with _process_lock:
            budget = _process_budgets.setdefault(given, RateBudget(rates_with(given)))
    return budget


def rates_with(given: str) -> dict[str, float]:
    """``AWS_RATES`` with some replaced.

    Args:
        given: Such as ``sagemaker:CreateTrainingJob=5, logs:*=inf``: calls per second, ``inf`` for any number;
            operations may be shell patterns.

    Raises:
        ValueError: It is not written so.
    """
    rates = dict(AWS_RATES)
    for part in filter(None, (part.strip() for part in given.split(","))):
        pattern, equals, number = (piece.strip() for piece in part.partition("="))
        try:
            rate = float(number)
        except ValueError:
            rate = math.nan
        if not equals or not rate > 0:
            raise ValueError(
                f"{ENV_RATES} has {part!r}; write it as operation=calls per second, such as "
                "sagemaker:CreateTrainingJob=5, with inf for any number."
            )
        for operation in {name for name in (*rates, pattern) if fnmatchcase(name, pattern)}:
            rates[operation] = rate
    return {operation: rate for operation, rate in rates.items() if rate != math.inf}
