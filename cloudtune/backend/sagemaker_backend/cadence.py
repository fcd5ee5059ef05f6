"""How often a SageMaker backend looks and writes. Seconds throughout."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

#: An agent that has not answered a wish after so many times the intervals between two looks, its own and the tuner's,
#: hears nothing.
_UNANSWERED = 5.0


@dataclass(frozen=True)
class Cadence:
    """Intervals of a SageMaker backend and of the agents in its jobs.

    The defaults keep the median time from a report to the scheduler's decision below two seconds at about two cents
    an hour for listings, and the calls of the SageMaker API, which is tightly limited, below 150 an hour.

    Args:
        poll: Between two listings of the inbox.
        status: Between two listings of the jobs in progress, by which failures and stops from outside are found.
        logs: Between two looks at the CloudWatch log, for jobs whose reports come that way.
        life: Between two signs of life of the tuner, where no wish makes it write sooner.
        silence: A job in progress whose head has not changed for so long is told of in a warning.
        settle: When to ask, and to ask again, for the state of a job whose script has ended: so long after the time
            that jobs of this experiment typically took from there to their end. Afterwards the listing finds it.
        stop_margin: A job that was asked to end is stopped through SageMaker so long after its script's grace.
        first_wait, longest_wait: Between two attempts to create a job while the quota is reached or there is no
            capacity: doubling from the first to the longest.
        agent_put, agent_watch, agent_heartbeat: Of the agents: between two puts of a head at the least, between two
            looks at the life object, and the longest silence.
        life_timeout: Without a sign of life for so long, agents end their trials as paused (dead-man switch). At least
            three times as long as ``life`` and ``agent_watch``.
        checkpoint: Between two uploads of a running trial's checkpoint at the least.
    """

    poll: float = 1.0
    status: float = 90.0
    logs: float = 2.0
    life: float = 60.0
    silence: float = 180.0
    settle: tuple[float, ...] = (0.1, 1.2, 3.0, 8.0, 20.0)
    stop_margin: float = 20.0
    first_wait: float = 15.0
    longest_wait: float = 600.0
    agent_put: float = 1.0
    agent_watch: float = 1.0
    agent_heartbeat: float = 60.0
    life_timeout: float = 3600.0
    checkpoint: float = 30.0

    @property
    def answers_within(self) -> float:
        """Seconds after which an agent that hears has answered a wish."""
        return _UNANSWERED * (self.agent_watch + self.agent_put + self.poll)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "settle" and not isinstance(value, tuple):
                raise ValueError(f"Cadence: settle must be a tuple of seconds, such as (0.1, 1.2), got {value!r}")
            for seconds in value if field.name == "settle" else (value,):
                is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
                if not is_number or not 0 < seconds < math.inf:
                    raise ValueError(f"Cadence: {field.name} must be above 0 seconds, and finite, got {value!r}")
        if 3 * max(self.life, self.agent_watch) > self.life_timeout:
            raise ValueError(
                f"Cadence: life_timeout must be at least three times as long as life ({self.life} seconds) and "
                f"agent_watch ({self.agent_watch} seconds), got {self.life_timeout}: trials would take a tuner that "
                "lives for dead"
            )
