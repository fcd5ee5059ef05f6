"""Which instances can be had at the moment: what is refused now is tried again later, with growing waits."""

from __future__ import annotations

import random
from collections.abc import Sequence


class Machines:
    """Waits per instance type, after quota or capacity was exhausted.

    Args:
        first_wait: Seconds after the first refusal.
        longest_wait: To which the wait doubles, refusal by refusal.
    """

    def __init__(self, first_wait: float, longest_wait: float) -> None:
        self._first = first_wait
        self._longest = longest_wait
        self._refusals: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._random = random.Random()  # for jitter only: several tuners wait for the same machines

    def refused(self, instance_type: str, now: float) -> float:
        """There is none at the moment; returns the seconds until it is tried again."""
        count = self._refusals[instance_type] = self._refusals.get(instance_type, 0) + 1
        wait: float = min(self._longest, self._first * 2 ** min(count - 1, 20)) * self._random.uniform(0.75, 1.0)
        self._until[instance_type] = now + wait
        return wait

    def granted(self, instance_type: str) -> None:
        """There was one."""
        self._refusals.pop(instance_type, None)
        self._until.pop(instance_type, None)

    def freed(self) -> None:
        """A machine was given back: what was refused is tried again now, though later refusals still wait longer."""
        self._until.clear()

    def choose(self, wanted: Sequence[str], now: float) -> str | None:
        """The first type that need not wait; None: all of them wait."""
        return next((one for one in wanted if self._until.get(one, now) <= now), None)

    def next_time(self, wanted: Sequence[str]) -> float | None:
        """When the first of these types is to be tried again; None: none of them waits."""
        times = [self._until[one] for one in wanted if one in self._until]
        return min(times) if len(times) == len(wanted) else None
