"""How many experiments of a study run at once, and how long all of them take."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloudtune.studies.machines import Machines

#: Instance type and whether it is a spot instance -> how many there may be at once; None: not known, or no limit.
Quota = Callable[[str, bool], int | None]


@dataclass(frozen=True)
class Waves:
    """A course that a study can take.

    Args:
        at_once: Most experiments that run at the same time.
        count: How many times experiments begin: 1 if all do so at once.
        seconds: Until the last one ends, if each takes all its time.
        stuck: How many never have room, even alone.
    """

    at_once: int
    count: int
    seconds: float
    stuck: int


def waves(wanted: Sequence[tuple[Sequence[Machines], float]], quota: Quota, max_parallel: int | None) -> Waves:
    """Has experiments begin in their order, each as soon as there is room for all its machines.

    Args:
        wanted: The machines of each experiment, and the seconds that it takes at most.
        quota: What the account may have.
        max_parallel: So many experiments run at once; None: any number.
    """
    used: Counter[tuple[str, bool]] = Counter()
    running: list[tuple[float, int, Counter[tuple[str, bool]]]] = []
    now, at_once, begins, stuck = 0.0, 0, set(), 0
    most = math.inf if max_parallel is None else max_parallel
    for number, (machines, seconds) in enumerate(wanted):
        while True:
            taken = _taken(machines, quota, used) if len(running) < most else None
            if taken is not None or not running:
                break
            now, _, given_back = heapq.heappop(running)
            used -= given_back
        if taken is None:
            stuck += 1
            continue
        used += taken
        begins.add(now)
        heapq.heappush(running, (now + seconds, number, taken))
        at_once = max(at_once, len(running))
    end = max((ends for ends, _, _ in running), default=now)
    return Waves(at_once, len(begins), end, stuck)


def _taken(
    machines: Sequence[Machines], quota: Quota, used: Counter[tuple[str, bool]]
) -> Counter[tuple[str, bool]] | None:
    """The instances that an experiment gets beside those that are in use; None: there are too few."""
    taken: Counter[tuple[str, bool]] = Counter()
    for one in machines:
        left = one.count
        for kind in one.types:
            key = (kind, one.is_spot)
            allowed = quota(*key)
            free = left if allowed is None else allowed - used[key] - taken[key]
            some = max(0, min(left, free))
            taken[key] += some
            left -= some
        if left:
            return None
    return taken
