"""How many machines the account's quotas leave for further experiments."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cloudtune.aws.quotas import quota_name
from cloudtune.studies.machines import Machines

#: Instance type and whether it is a spot instance -> how many the account may have at once; None: not known.
Quota = Callable[[str, bool], int | None]
_Key = tuple[str, bool]


@dataclass(frozen=True)
class Shortage:
    """Quotas that have no room for some machines.

    Args:
        machines: What was wanted.
        quotas: AWS's names of the quotas -> instances that they allow.
        used: Instances that are in use, or put aside.
    """

    machines: Machines
    quotas: dict[str, int]
    used: int

    @property
    def allowed(self) -> int:
        """Instances that all these quotas together allow."""
        return sum(self.quotas.values())

    def __str__(self) -> str:
        names = ", ".join(f"{name!r}" for name in self.quotas)
        return f"of {self.allowed} instances ({names}) {self.used} are in use or put aside"


class Room:
    """What is left, as one look has found it. What is taken from it is no longer there.

    Args:
        quota: What the account may have.
    """

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._used: Counter[_Key] = Counter()
        self._waited_for: set[_Key] = set()

    def occupy(self, machines: Iterable[tuple[str, int]], is_spot: bool) -> None:
        """Machines that are in use: type and number."""
        for instance_type, count in machines:
            self._used[instance_type, is_spot] += count

    def reserve(self, machines: Machines, count: int) -> None:
        """Puts aside as many as there are, up to a number, for an experiment that may begin to use them at any time."""
        for key in _keys(machines):
            taken = int(min(count, max(0, self._free(key))))
            self._used[key] += taken
            count -= taken
        # Beyond the quota nobody gets any: whoever waits for them is to be served first.
        self._used[_keys(machines)[0]] += count

    def take(self, wanted: Sequence[Machines]) -> Shortage | None:
        """Takes all of them, or says what is missing. Then nothing of that kind is given to anybody who asks later."""
        before = self._used.copy()
        for machines in wanted:
            keys = _keys(machines)
            free = sum(max(0, self._free(key)) for key in keys)
            if free < machines.count or self._waited_for.intersection(keys):
                self._used = before
                self._waited_for.update(keys)
                return self._shortage(machines)
            self.reserve(machines, machines.count)
        return None

    def _free(self, key: _Key) -> float:
        quota = self._quota(*key)
        return math.inf if quota is None else quota - self._used[key]

    def _shortage(self, machines: Machines) -> Shortage:
        quotas = {key: quota for key in _keys(machines) if (quota := self._quota(*key)) is not None}
        named = {quota_name(kind, spot=spot): quota for (kind, spot), quota in quotas.items()}
        return Shortage(machines, named, sum(min(quota, self._used[key]) for key, quota in quotas.items()))


def _keys(machines: Machines) -> list[_Key]:
    # A type that is named twice has one quota all the same.
    return [(one, machines.is_spot) for one in dict.fromkeys(machines.types)]
