"""The reports of one run of a training job, which come in any order and more than once: each once, in order."""

from __future__ import annotations

from typing import Any

Numbered = tuple[int, dict[str, Any]]


class RunReports:
    """Holds back reports whose predecessors have not come yet.

    Args:
        known: Reports with numbers below this were delivered before.
    """

    __slots__ = ("_held", "next")

    def __init__(self, known: int = 0) -> None:
        self.next = known  # number of the report that is to be delivered next
        self._held: dict[int, dict[str, Any]] = {}

    @property
    def has_gap(self) -> bool:
        """Whether a report is held back because one before it is missing. Meaningful after :meth:`take`."""
        return bool(self._held)

    def add(self, number: int, metrics: dict[str, Any]) -> bool:
        """A report has come; False if it had come before, or comes too late."""
        if number < self.next or number in self._held:
            return False
        self._held[number] = metrics
        return True

    def take(self) -> list[Numbered]:
        """The reports that are next, in order."""
        ready: list[Numbered] = []
        while self.next in self._held:
            ready.append((self.next, self._held.pop(self.next)))
            self.next += 1
        return ready

    def take_all(self) -> list[Numbered]:
        """All reports that have come, in order, whatever is missing between them: nobody waits for that any more."""
        ready = sorted(self._held.items())
        self._held.clear()
        if ready:
            self.next = ready[-1][0] + 1
        return ready
