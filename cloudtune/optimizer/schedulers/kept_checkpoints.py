"""Which paused trials keep their checkpoints where not all of them can.

Asynchronous successive halving never says that a paused trial will not be promoted: any number of worse ones may still
arrive. It can be estimated, though. A trial of rank r among n results of a rung, of which a share p is promoted, goes
on at last if its true quantile is below p. For results drawn independently, that has the probability that at least r of
n fall below p: by the normal approximation of the binomial distribution, that of a deviation of more than
z = (r - n p) / sqrt(n p (1 - p)). If its checkpoint is gone by then, what it has trained so far is lost.
"""

from __future__ import annotations

import math
from bisect import insort

from cloudtune.optimizer.schedulers.rungs import Entry, PromotionRung


class KeptCheckpoints:
    """The paused trials whose checkpoints are kept.

    Args:
        limit: There are so many at most. Beyond it, those go of which least resource is expected to be lost: the
            trial's level times its chance of being promoted.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Kept ones of each rung, best first: (value, order of arrival, trial).
        self._kept: dict[PromotionRung, list[tuple[float, int, int]]] = {}
        self._places: dict[int, tuple[PromotionRung, tuple[float, int, int]]] = {}
        self._expendable: dict[int, None] = {}

    def pause(self, trial_id: int, rung: PromotionRung, entry: Entry) -> None:
        """A trial has paused at a rung, and its checkpoint is there."""
        place = (*entry, trial_id)
        insort(self._kept.setdefault(rung, []), place)
        self._places[trial_id] = (rung, place)
        while len(self._places) > self.limit:
            worst = min((rung for rung, kept in self._kept.items() if kept), key=self._expected_loss)
            dropped = self._kept[worst].pop()[-1]
            del self._places[dropped]
            self._expendable[dropped] = None

    def go_on(self, trial_id: int) -> None:
        """A paused trial runs again, or never will: it is no concern of this class any more."""
        self._expendable.pop(trial_id, None)
        rung_and_place = self._places.pop(trial_id, None)
        if rung_and_place is not None:
            rung, place = rung_and_place
            self._kept[rung].remove(place)

    def take_expendable(self) -> list[int]:
        """The trials whose checkpoints may go, each once for every pause."""
        taken = list(self._expendable)
        self._expendable.clear()
        return taken

    def _expected_loss(self, rung: PromotionRung) -> tuple[float, float]:
        """How much of the resource would be lost, at most, if the worst of a rung's kept trials lost its checkpoint."""
        value, order, _ = self._kept[rung][-1]
        deviation = chance_deviation(rung.rank((value, order)), rung.size, rung.level / rung.next_level)
        return rung.level * math.erfc(deviation / math.sqrt(2)) / 2, -deviation


def chance_deviation(rank: int, size: int, share: float) -> float:
    """By how many standard deviations a rank (from 1) of ``size`` is beyond what a share of them promotes."""
    return (rank - size * share) / math.sqrt(size * share * (1 - share))
