"""Asynchronous successive halving for several objectives (MOASHA).

Source: Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving" (arXiv:2106.12639), section 3: results
at a rung are ranked by non-dominated sorting, and within a front by an epsilon-net.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cloudtune.optimizer.schedulers.brackets import AnyBracket, PromotionBracket, StoppingBracket
from cloudtune.optimizer.schedulers.hyperband import HyperbandScheduler
from cloudtune.optimizer.schedulers.non_dominated import Fronts
from cloudtune.optimizer.schedulers.rungs import rank_value


class ParetoStoppingRung:
    """A rung that trials run through, unless they have diverged or rank behind the best ``level / next_level``.

    With one objective it decides as :class:`~cloudtune.optimizer.schedulers.rungs.StoppingRung` does.

    Args:
        level: Resource at which results are compared.
        next_level: Resource of the rung above.
    """

    __slots__ = ("_fronts", "level", "next_level")

    def __init__(self, level: int, next_level: int) -> None:
        self.level = level
        self.next_level = next_level
        self._fronts = Fronts()

    def admits(self, point: tuple[float, ...]) -> bool:
        """Adds a result, and says whether its trial goes on.

        It does if its rank is at most floor((n - 1) * level / next_level) + 1 among the n results, its own included:
        the first always goes on, and so does one that equals a result of such a rank. One that has diverged, infinity
        in each coordinate, does so only if it is the first.
        """
        fronts = self._fronts
        front = fronts.add(point)
        if math.inf in point:
            return fronts.size == 1
        room = (fronts.size - 1) * self.level // self.next_level + 1
        room -= sum(map(len, fronts.numbers[:front]))
        if room <= 0 or room >= len(fronts.numbers[front]):
            return room > 0
        return bool((fronts.best_points(front, room) == point).all(axis=1).any())


class ParetoPromotionRung:
    """A rung at which trials pause until their rank is at most ``floor(n * level / next_level)`` among its n results.

    With one objective it decides as :class:`~cloudtune.optimizer.schedulers.rungs.PromotionRung` does. Trials that have
    diverged, infinity in each coordinate, make a front of their own, the last.

    Args:
        level: Resource at which trials pause.
        next_level: Resource to which a promoted trial runs.
    """

    __slots__ = ("_fronts", "_is_known", "_number_of", "_promotable", "_waiting", "level", "next_level")

    def __init__(self, level: int, next_level: int) -> None:
        self.level = level
        self.next_level = next_level
        self._fronts = Fronts()
        #: Trials that wait by the number of their result, and the other way round.
        self._waiting: dict[int, int] = {}
        self._number_of: dict[int, int] = {}
        self._promotable: int | None = None
        self._is_known = True

    def record(self, point: tuple[float, ...]) -> int:
        """Adds a result; returns its number."""
        self._is_known = False
        self._fronts.add(point)
        return self._fronts.size - 1

    def wait(self, trial_id: int, number: int) -> None:
        """The trial with this result has paused and can be resumed."""
        self._is_known = False
        self._waiting[number] = trial_id
        self._number_of[trial_id] = number

    def leave(self, trial_id: int) -> None:
        """The trial was promoted, or will never run again. Its result stays."""
        self._is_known = False
        if trial_id in self._number_of:
            del self._waiting[self._number_of.pop(trial_id)]

    def promotable(self) -> int | None:
        """A waiting trial of the first front that has one which may be promoted now, else None."""
        if not self._is_known:
            self._promotable = self._find()
            self._is_known = True
        return self._promotable

    def _find(self) -> int | None:
        if not self._waiting:
            return None
        fronts = self._fronts
        room = fronts.size * self.level // self.next_level
        for front, numbers in enumerate(fronts.numbers):
            if room <= 0 or (front > 0 and math.inf in fronts.points[front][0]):
                return None
            waiting = [number for number in numbers.tolist() if number in self._waiting]
            if waiting and room < len(numbers):
                waiting = [number for number in fronts.best(front, room).tolist() if number in self._waiting][:1]
            if waiting:  # of a front that goes on as a whole, the trial goes first whose result came first
                return self._waiting[min(waiting)]
            room -= len(numbers)
        return None


class ParetoHyperbandScheduler(HyperbandScheduler):
    """Successive halving in which trials are ranked by several metrics at once.

    A trial runs on (with ``type="promotion"``: is resumed) if it belongs to the best at its rung level: a share of
    1 / ``reduction_factor``, except at the last rung, as for
    :class:`~cloudtune.optimizer.schedulers.hyperband.HyperbandScheduler`. A trial of an earlier front, which fewer
    others dominate, ranks before those of later fronts; where a front has more trials than may go on, they are chosen
    to lie far from each other. So it matters neither in which units the metrics are, nor that one of them is
    constant. A trial of which a metric is NaN or infinite ranks worst, whatever the others are, and is stopped at a
    rung that has another result (``type="stopping"``).

    Args:
        metric: What scripts report and what is to be optimised, a list.
        mode: ``"min"`` or ``"max"``: one for all metrics, or a list of one for each.
        config_space, searcher, resource_attr, max_resource_attr, max_t, grace_period, reduction_factor: See
            :class:`~cloudtune.optimizer.schedulers.hyperband.HyperbandScheduler`.
        brackets, type, rung_levels, points_to_evaluate, random_seed, search_options: Likewise.

    Raises:
        ConfigSpaceError: The config space or one of the points is wrong.
        ValueError: Another argument is wrong; the message names it and says what to pass.
    """

    _ranks_several = True
    _types = ("stopping", "promotion")

    def _make_bracket(self, levels: Sequence[int]) -> AnyBracket:
        if self.type == "stopping":
            return StoppingBracket(levels, ParetoStoppingRung)
        return PromotionBracket(levels, ParetoPromotionRung)

    def _value(self, result: dict[str, Any]) -> tuple[float, ...]:
        modes = zip(self._metrics, self._modes, strict=True)
        point = tuple([rank_value(result[name], mode == "max") for name, mode in modes])
        return (math.inf,) * len(point) if math.inf in point else point
