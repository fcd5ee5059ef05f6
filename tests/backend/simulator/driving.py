"""A simulator driven by hand, over curves that can be reckoned in the head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.backend.simulator_backend import SimulatorBackend
from cloudtune.backend.simulator_backend.backend import VIRTUAL_START
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.blackbox import Blackbox, Curve
from cloudtune.config_space import randint
from cloudtune.trial import End, Report, Trial, TrialEvent

SPACE = {"width": randint(1, 9)}


class Ramp(Blackbox):
    """Levels 1 to 5 take ``width`` seconds each, after ``startup`` seconds; the loss at a level is width / level.

    Args:
        startup: Seconds before the first level.
        failing: Widths whose trials fail after level 2.
    """

    config_space = SPACE
    metrics = ("loss",)
    resource_attr = "epoch"
    max_resource = 5

    def __init__(self, startup: float = 0.0, failing: tuple[int, ...] = ()) -> None:
        self.startup = startup
        self.failing = failing

    def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
        width, last = config["width"], 2 if config["width"] in self.failing else 5
        levels = list(range(1, last + 1))
        losses = [width / level for level in levels]
        elapsed = [self.startup + width * level for level in levels]
        return Curve(levels, {"loss": losses}, elapsed, "it blew up" if last == 2 else "")


def opened(backend: SimulatorBackend, space: Mapping[str, Any] | None = None, **of_place: Any) -> SimulatorBackend:
    """The backend, open."""
    backend.open(ExperimentPlace("simulated", "abcdef", Path("nowhere"), 4, config_space=space or SPACE, **of_place))
    return backend


def clock(backend: SimulatorBackend) -> float:
    """Virtual seconds so far."""
    return backend.time() - VIRTUAL_START


def happens(backend: SimulatorBackend) -> list[tuple[Any, ...]]:
    """What the next poll brings: (time, trial, level) for a report, (time, trial, outcome) for an end."""
    return [_told(backend, event) for event in backend.poll(1000.0)]


def goes_on(backend: SimulatorBackend) -> list[tuple[Any, ...]]:
    """What all polls bring until nothing runs."""
    told = []
    while backend.busy_workers():
        told += happens(backend)
    return told


def _told(backend: SimulatorBackend, event: TrialEvent) -> tuple[Any, ...]:
    now = clock(backend)
    if isinstance(event, Report):
        return now, event.trial_id, event.metrics["epoch"]
    if isinstance(event, End):
        return now, event.trial_id, event.outcome.value
    return now, event.trial_id, round(event.dollars or 0.0, 9)


def trial(number: int, width: int, attempt: int = 0, **constants: Any) -> Trial:
    """A trial of a configuration."""
    return Trial(number, {"width": width, **constants}, attempt)
