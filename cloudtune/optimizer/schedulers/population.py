"""The members of a population that is trained together, and which of them are good or bad."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloudtune.trial import Config


class Member:
    """A trial of the population.

    Attributes:
        trial_id: The trial.
        config: Its configuration.
        resource: What it has reported last; before that, the resource of the checkpoint that it began from.
        since: Resource at which it was compared last, or began.
        value: Rank value when it was compared last; None if it has not been yet.
        decision: What it was told to do at last; None while it runs.
    """

    __slots__ = ("config", "decision", "resource", "since", "trial_id", "value")

    def __init__(self, trial_id: int, config: Config, resource: float) -> None:
        self.trial_id = trial_id
        self.config = config
        self.resource = resource
        self.since = resource
        self.value: float | None = None
        self.decision: str | None = None


def _rank(member: Member) -> tuple[float, int]:
    assert member.value is not None
    return member.value, member.trial_id


class Ranking:
    """The members that have been compared, from the best to the worst; of equal ones the earlier trial is better.

    Args:
        members: All that go on, those not compared yet included.
        to_come: How many more will begin.
        count: How many are at the top, and how many at the bottom. At most half of those that have been compared are at
            either end; and none is at the bottom before more than half of all have been compared.
    """

    def __init__(self, members: Sequence[Member], to_come: int, count: int) -> None:
        self._ranked = sorted((member for member in members if member.value is not None), key=_rank)
        compared = len(self._ranked)
        self._at_top = min(count, (compared + 1) // 2)
        self._at_bottom = min(count, compared // 2) if compared > (len(members) + to_come) / 2 else 0

    def is_bad(self, member: Member) -> bool:
        """Whether the member is at the bottom, and a member at the top is truly better."""
        bottom = self._ranked[len(self._ranked) - self._at_bottom :]
        return member in bottom and _rank(self._ranked[0])[0] < _rank(member)[0]

    def top(self) -> list[Member]:
        """The members at the top whose values are finite."""
        return [member for member in self._ranked[: self._at_top] if _rank(member)[0] < math.inf]
