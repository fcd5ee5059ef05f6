"""Brackets of successive halving: a ladder of rungs, and where each trial stands on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Generic, TypeVar

from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.optimizer.schedulers.rungs import Entry, PromotionRung, StoppingRung
from cloudtune.trial import Config

R = TypeVar("R", StoppingRung, PromotionRung)


class Track:
    """Where a trial stands.

    Attributes:
        bracket: The ladder it climbs.
        index: Number of rungs it has passed.
        level: Resource at which something happens next; reports below it need no attention. For a trial that was told
            to pause: minus infinity.
        config: The trial's configuration.
        pause: The rung at which it was told to pause, with its result there, or None while it runs.
    """

    __slots__ = ("bracket", "config", "index", "level", "pause")

    def __init__(self, bracket: AnyBracket, config: Config) -> None:
        self.bracket = bracket
        self.config = config
        self.index = 0
        self.level: float = bracket.levels[0]
        self.pause: tuple[PromotionRung, Entry] | None = None


class Bracket(ABC, Generic[R]):
    """A ladder of rungs.

    Args:
        levels: Increasing resource levels; trials end at the last one, at which there is no rung.
    """

    rungs: list[R]

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = list(levels)

    @abstractmethod
    def reach(self, track: Track, resource: float, value: float) -> str:
        """A trial reports ``resource``, at least ``track.level``, with rank value ``value``; answers a decision.

        The result counts in every rung from ``track.index`` on that ``resource`` has reached.
        """

    def passed(self, track: Track, resource: float) -> list[R]:
        """The rungs that the trial has reached now, and had not before; moves ``track`` beyond them."""
        begin = track.index
        while track.index < len(self.rungs) and resource >= self.levels[track.index]:
            track.index += 1
        track.level = self.levels[track.index]
        return self.rungs[begin : track.index]


class StoppingBracket(Bracket[StoppingRung]):
    """Trials that do not get past a rung are stopped."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__(levels)
        self.rungs = [StoppingRung(level, after) for level, after in pairwise(levels)]

    def reach(self, track: Track, resource: float, value: float) -> str:
        """Stops a trial that any of the rungs it reached turns down."""
        admitted = [rung.admits(value) for rung in self.passed(track, resource)]
        return SchedulerDecision.CONTINUE if all(admitted) else SchedulerDecision.STOP


class PromotionBracket(Bracket[PromotionRung]):
    """Trials pause at every rung until they are promoted."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__(levels)
        self.rungs = [PromotionRung(level, after) for level, after in pairwise(levels)]

    def reach(self, track: Track, resource: float, value: float) -> str:
        """Pauses a trial at the highest rung it reached: those below count as if it had been promoted out of them."""
        reached = [(rung, rung.record(value)) for rung in self.passed(track, resource)]
        if not reached or resource >= self.levels[-1]:
            return SchedulerDecision.CONTINUE
        track.pause = reached[-1]
        track.level = float("-inf")
        return SchedulerDecision.PAUSE


AnyBracket = StoppingBracket | PromotionBracket
