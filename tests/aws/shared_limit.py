"""Many processes that share one limit of AWS, in virtual time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

from cloudtune.aws.rate_budget import RateBudget

CREATE = "sagemaker:CreateTrainingJob"


@dataclass
class Outcome:
    """How it went: seconds until all was created, calls that AWS saw, and the longest time one job waited."""

    seconds: float
    calls: int
    longest_wait: float


def share(processes: int, jobs: int, seed: int, latency: tuple[float, float], limit: float = 1.0) -> Outcome:
    """Each process creates its jobs one after the other, each as soon as its own budget lets it.

    Args:
        processes: How many, each with a budget of its own.
        jobs: Of each.
        seed: Of all random numbers.
        latency: Shortest and longest time that a request or an answer travels.
        limit: Calls per second that AWS admits of all together, without bursts.
    """
    draw = random.Random(seed)
    now = 0.0
    budgets = [RateBudget(clock=lambda: now, random=random.Random(draw.random())) for _ in range(processes)]
    left = [jobs] * processes
    began = [0.0] * processes
    outcome = Outcome(0.0, 0, 0.0)
    full_at = 0.0  # when AWS's bucket holds a call again
    events = [(draw.uniform(0, 0.5), process, "asks") for process in range(processes)]
    heapq.heapify(events)
    while events:
        now, process, what = heapq.heappop(events)
        budget = budgets[process]
        if what == "asks":
            wait = budget.take(CREATE)
            following = (now + wait, "asks") if wait else (now + draw.uniform(*latency), "arrives")
        elif what == "arrives":
            outcome.calls += 1
            admitted = now >= full_at
            if admitted:
                full_at = now + 1 / limit
            following = (now + draw.uniform(*latency), "admitted" if admitted else "refused")
        elif what == "refused":
            budget.throttled(CREATE)
            following = (now, "asks")
        else:
            budget.succeeded(CREATE)
            outcome.longest_wait = max(outcome.longest_wait, now - began[process])
            began[process] = now
            left[process] -= 1
            if not left[process]:
                continue
            following = (now, "asks")
        heapq.heappush(events, (following[0], process, following[1]))
    outcome.seconds = now
    return outcome
