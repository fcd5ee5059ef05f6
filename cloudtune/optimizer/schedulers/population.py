"""The members of a population that is trained together, and which of them are good or bad."""

from __future__ import annotations

import math
from collections.abc import Iterable

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
        paused: Whether it has paused, and can be resumed.
    """

    __slots__ = ("config", "decision", "paused", "resource", "since", "trial_id", "value")

    def __init__(self, trial_id: int, config: Config, resource: float) -> None:
        self.trial_id = trial_id
        self.config = config
        self.resource = resource
        self.since = resource
        self.value: float | None = None
        self.decision: str | None = None
        self.paused = False


def _rank(member: Member) -> tuple[float, int]:
    assert member.value is not None
    return member.value, member.trial_id


class Ranking:
    """The members that have been compared, from the best to the worst; of equal ones the earlier trial is better.

    Args:
        members: All that go on, those not compared yet included.
        fraction: The share of the compared members that is at the top, and that is at the bottom: rounded down, but one
            as soon as all members have been compared.
    """

    def __init__(self, members: Iterable[Member], fraction: float) -> None:
        everybody = list(members)
        self._ranked = sorted((member for member in everybody if member.value is not None), key=_rank)
        compared = len(self._ranked)
        count = math.floor(compared * fraction) or int(compared == len(everybody))
        self._count = min(count, compared // 2)

    def is_bad(self, member: Member) -> bool:
        """Whether the member is at the bottom, and a member at the top is truly better."""
        bottom = self._ranked[len(self._ranked) - self._count :]
        return member in bottom and _rank(self._ranked[0])[0] < _rank(member)[0]

    def top(self) -> list[Member]:
        """Members to start from: those at the top, one at least if there is any, whose values are finite."""
        return [member for member in self._ranked[: max(1, self._count)] if _rank(member)[0] < math.inf]
