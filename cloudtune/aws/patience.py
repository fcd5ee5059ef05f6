"""How long a call is repeated that failed for a reason which passes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from cloudtune.aws.errors import PASSING, AwsError, Throttled

#: Seconds, where the caller names none. An operation that is limited to one call a second is throttled for minutes
#: when hundreds of processes want it; that is slow, but no failure.
OF_FAILURES = 60.0
OF_THROTTLING = 600.0

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


class Patience:
    """Decides after each failure of one call whether it is tried again, and when.

    Args:
        seconds: For so long after the first failure; 0: never; None: ``OF_FAILURES``, and ``OF_THROTTLING`` while
            AWS throttles.
        clock: Seconds that never go back.
        random: Where the jitter comes from.
    """

    def __init__(
        self, seconds: float | None, clock: Callable[[], float] = time.monotonic, random: random.Random | None = None
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._random = random or _random
        self._since: float | None = None
        self._pauses = 0

    def pause_after(self, error: AwsError) -> float | None:
        """Seconds to wait before the next try; None: there is none."""
        if not isinstance(error, PASSING):
            return None
        now = self._clock()
        if self._since is None:
            self._since = now
        throttled = isinstance(error, Throttled)
        seconds = self._seconds if self._seconds is not None else OF_THROTTLING if throttled else OF_FAILURES
        left = self._since + seconds - now
        if left <= 0:
            return None
        if throttled:  # the rate budget has the next call wait
            return 0.0
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self._pauses) * self._random.uniform(0.5, 1.5)
        self._pauses += 1
        return min(pause, left)


#: Of its own, so that nobody's seed is disturbed.
_random = random.Random()
