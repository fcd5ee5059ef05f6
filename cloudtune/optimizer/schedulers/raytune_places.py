"""Places in the brackets of Ray Tune's HyperBand, announced ahead of the trials that take them.

Ray tells its HyperBand of many trials before the first one runs, and a bracket is as large as what has been announced
when its first rung is complete. Trials that are announced when they start would each make, with one worker, a bracket
of their own, in which there is nobody to lose against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudtune.optimizer.schedulers.raytune_controller import RayTrial

#: Unlike Ray Tune's PENDING, which it would choose to run before a paused trial.
ANNOUNCED = "ANNOUNCED"


class AnnouncedPlaces:
    """Keeps one bracket at least announced, of which no trial has begun.

    Args:
        scheduler: Ray Tune's.
    """

    def __init__(self, scheduler: Any) -> None:
        from ray.tune.schedulers import HyperBandScheduler

        self._scheduler = scheduler
        self._has_brackets = isinstance(scheduler, HyperBandScheduler)
        self._places: list[RayTrial] = []
        self._size_of_last = 0

    def __bool__(self) -> bool:
        return bool(self._places)

    def take(self, announce: Callable[[RayTrial], Any]) -> RayTrial | None:
        """The next place, which a new trial takes; None if the scheduler has no brackets.

        Args:
            announce: Tells the scheduler of a trial.
        """
        if not self._has_brackets:
            return None
        # A bracket that has lost trials takes new ones: the next must be there before the last has begun.
        while len(self._places) <= self._size_of_last:
            self._announce_bracket(announce)
        return self._places.pop(0)

    def _announce_bracket(self, announce: Callable[[RayTrial], Any]) -> None:
        self._size_of_last = 0
        while self._size_of_last == 0 or not self._scheduler._state["bracket"].filled():
            place = RayTrial(-1, {})
            place.status = ANNOUNCED
            announce(place)
            self._places.append(place)
            self._size_of_last += 1

    def give_up(self) -> list[RayTrial]:
        """The places that nobody will take, for the scheduler to be told."""
        places, self._places, self._size_of_last = self._places, [], 0
        return places
