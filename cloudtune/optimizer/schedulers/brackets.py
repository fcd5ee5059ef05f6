"""Brackets of successive halving: a ladder of rungs, and where each trial stands on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.optimizer.schedulers.rungs import PromotionRung, StoppingRung
from cloudtune.trial import Config


class RungToPass(Protocol):
    """A rung that trials run through, or are stopped at. What a value is, is between it and the scheduler."""

    def admits(self, value: Any) -> bool:
        """Adds a result, and says whether its trial goes on."""


class RungToWaitAt(Protocol):
    """A rung at which trials pause. What a value and an entry are, is between it and the scheduler."""

    level: int
    next_level: int

    def record(self, value: Any) -> Any:
        """Adds a result; returns its entry."""

    def wait(self, trial_id: int, entry: Any) -> None:
        """The trial with this entry has paused and can be resumed."""

    def leave(self, trial_id: int) -> None:
        """The trial was promoted, or will never run again. Its result stays."""

    def promotable(self) -> int | None:
        """The best waiting trial if it may be promoted now, else None."""


R = TypeVar("R", RungToPass, RungToWaitAt)


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
        self.level = float(bracket.attention(self))
        self.pause: tuple[RungToWaitAt, Any] | None = None


class Bracket(ABC, Generic[R]):
    """A ladder of rungs.

    Args:
        levels: Increasing resource levels; trials end at the last one, at which there is no rung.
    """

    rungs: list[R]

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = list(levels)

    def begin(self, config: Config) -> Track:
        """The track of a new trial."""
        return Track(self, config)  # type: ignore[arg-type]

    def attention(self, track: Track) -> float:
        """The resource from which on reports of a running trial matter: the next level."""
        return self.levels[track.index]

    @abstractmethod
    def reach(self, track: Track, resource: float, value: Any) -> str:
        """A trial reports ``resource``, at least ``track.level``, with ``value`` for the rungs; answers a decision.

        The result counts in every rung from ``track.index`` on that ``resource`` has reached.
        """

    def passed(self, track: Track, resource: float) -> list[R]:
        """The rungs that the trial has reached now, and had not before; moves ``track`` beyond them."""
        begin = track.index
        while track.index < len(self.rungs) and resource >= self.levels[track.index]:
            track.index += 1
        track.level = self.attention(track)
        return self.rungs[begin : track.index]


class StoppingBracket(Bracket[RungToPass]):
    """Trials that do not get past a rung are stopped.

    Args:
        levels: See :class:`Bracket`.
        rung: Makes a rung from its level and the one above.
    """

    def __init__(self, levels: Sequence[int], rung: Callable[[int, int], RungToPass] = StoppingRung) -> None:
        super().__init__(levels)
        self.rungs = [rung(level, after) for level, after in pairwise(levels)]

    def reach(self, track: Track, resource: float, value: Any) -> str:
        """Stops a trial that any of the rungs it reached turns down."""
        admitted = [rung.admits(value) for rung in self.passed(track, resource)]
        return SchedulerDecision.CONTINUE if all(admitted) else SchedulerDecision.STOP


class PromotionBracket(Bracket[RungToWaitAt]):
    """Trials pause at every rung until they are promoted.

    Args:
        levels: See :class:`Bracket`.
        rung: Makes a rung from its level and the one above.
    """

    def __init__(self, levels: Sequence[int], rung: Callable[[int, int], RungToWaitAt] = PromotionRung) -> None:
        super().__init__(levels)
        self.rungs = [rung(level, after) for level, after in pairwise(levels)]

    def reach(self, track: Track, resource: float, value: Any) -> str:
        """Pauses a trial at the highest rung it reached: those below count as if it had been promoted out of them."""
        return self._climb(track, resource, value)

    def fall_short(self, track: Track, value: Any) -> int | None:
        """A running trial has ended by itself below the rung it was to train to: it pauses there with this value.

        Returns:
            The rung's level; None: it was to train to the maximum, and nothing happens.
        """
        level = self.levels[track.index]
        return level if self._climb(track, level, value) == SchedulerDecision.PAUSE else None

    def _climb(self, track: Track, resource: float, value: Any) -> str:
        reached = [(rung, self.record(track, rung, value)) for rung in self.passed(track, resource)]
        if not reached or resource >= self.levels[-1]:
            return SchedulerDecision.CONTINUE
        track.pause = reached[-1]
        track.level = float("-inf")
        return SchedulerDecision.PAUSE

    def record(self, track: Track, rung: RungToWaitAt, value: Any) -> Any:
        """Adds the result of a trial to a rung that it has reached; returns its entry."""
        return rung.record(value)


AnyBracket = StoppingBracket | PromotionBracket
