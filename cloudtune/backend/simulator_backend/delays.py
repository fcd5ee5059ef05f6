"""What takes time around training, in a simulation: an assumption that is stated."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from cloudtune.config_domains import is_number


@dataclass(frozen=True)
class SimulatedDelays:
    """Virtual seconds that pass around training. All are 0 unless given.

    Args:
        start: From the start of an attempt (new, resumed or repeated) until training begins; its worker is busy.
        report: From the moment when a report is made until the tuner has it. Training goes on meanwhile.
        stop: From a decision to stop or to pause until the worker is free. Training ends at once.
        end: From the last report of a trial that ends by itself until its worker is free.

    The tuner hears of an end no sooner than of the last report: where that is under way for longer, the worker waits
    for its next trial, and costs nothing.

    Raises:
        ValueError: One is no number, negative or not finite.
    """

    start: float = 0.0
    report: float = 0.0
    stop: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            seconds = getattr(self, one.name)
            if not is_number(seconds) or not (math.isfinite(seconds) and seconds >= 0):
                raise ValueError(f"SimulatedDelays: {one.name} must be a number of seconds, 0 or more, got {seconds!r}")
