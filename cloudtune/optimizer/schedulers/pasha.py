"""PASHA: successive halving whose maximum resource grows only while the ranking at the top has not settled.

Source: Bohdal et al. 2023, "PASHA: Efficient HPO and NAS with Progressive Resource Allocation" (ICLR), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.optimizer.schedulers.brackets import PromotionBracket, RungToWaitAt, Track
from cloudtune.optimizer.schedulers.rungs import Entry, PromotionRung
from cloudtune.optimizer.schedulers.soft_ranking import SoftRanking, SwapNoise
from cloudtune.trial import Config


class PashaTrack(Track):
    """Where a trial stands, and what it has reported so far.

    Attributes:
        curve: Rank values by resource; of several reports of one resource the first counts.
        result: Its result at the last rung that it has reached.
    """

    __slots__ = ("curve", "result")

    bracket: PashaBracket

    def __init__(self, bracket: PashaBracket, config: Config) -> None:
        super().__init__(bracket, config)
        self.curve: dict[float, float] = {}
        self.result: float | None = None


class PashaRung(PromotionRung):
    """A rung from which nothing is promoted until it is opened.

    Attributes:
        noise, ranking: Of the trials that have come here, by their results here and at the rung below; None once the
            rung is open.
    """

    __slots__ = ("noise", "ranking")

    def __init__(self, level: int, next_level: int) -> None:
        super().__init__(level, next_level)
        self.noise: SwapNoise | None = SwapNoise(level)
        self.ranking: SoftRanking | None = SoftRanking()

    def open(self) -> None:
        """Trials may be promoted from now on; how they rank is not asked any more."""
        self.noise = self.ranking = None

    def promotable(self) -> int | None:
        """The best waiting trial if it may be promoted now, else None."""
        return super().promotable() if self.ranking is None else None


class PashaBracket(PromotionBracket):
    """Trials pause at every rung until they are promoted, and only the first rung is open in the beginning.

    Whenever a trial arrives at the top rung, the first that is not open, the ranking of all trials there is compared
    with that of the same trials at the rung below. If it has not settled, the top rung is opened, and the next one is
    the top. Until two trials at the top rung have swapped places back and forth, epsilon is what it was at the rung
    before; at first 0.

    Args:
        levels: See :class:`~cloudtune.optimizer.schedulers.brackets.Bracket`.

    Attributes:
        epsilon: The difference up to which results count as equal.
        top: Number of the rung that is the top now; the number of the last level once all rungs are open.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__(levels, PashaRung)
        self.epsilon = 0.0
        self.top = 0
        if self.rungs:
            self._open(self.rungs[0])

    def begin(self, config: Config) -> PashaTrack:
        """The track of a new trial."""
        return PashaTrack(self, config)

    def attention(self, track: Track) -> float:
        """Every report matters, for the curve."""
        return float("-inf")

    def reach(self, track: Track, resource: float, value: float) -> str:
        """Notes the report; pauses a trial at the highest rung it reached."""
        assert isinstance(track, PashaTrack)
        track.curve.setdefault(resource, value)
        return super().reach(track, resource, value)

    def record(self, track: Track, rung: RungToWaitAt, value: float) -> Entry:
        """Adds a result, and opens the rung if it is the top and its ranking has not settled."""
        assert isinstance(track, PashaTrack)
        assert isinstance(rung, PashaRung)
        if rung.noise is not None and rung.ranking is not None:
            assert track.result is not None, "a trial reaches the first rung before this one"
            rung.noise.add(track.curve)
            rung.ranking.add(track.result, value)
            if rung is self.rungs[self.top]:
                epsilon = rung.noise.epsilon()
                self.epsilon = self.epsilon if epsilon is None else epsilon
                if not rung.ranking.has_settled(self.epsilon):
                    self._open(rung)
        track.result = value
        return rung.record(value)

    def _open(self, rung: RungToWaitAt) -> None:
        assert isinstance(rung, PashaRung)
        rung.open()
        self.top += 1
