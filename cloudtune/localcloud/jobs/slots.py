"""How many jobs run at once on this machine."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Slot:
    """A place among the running jobs, or in the queue for one."""

    def __init__(self, granted: Callable[[], None]) -> None:
        self.is_granted = False
        self.on_granted = granted


class Slots:
    """Gives out a number of slots, first come, first served. Thread-safe.

    Args:
        limit: How many; None: as many as are asked for.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = 0
        self._waiting: deque[Slot] = deque()

    def ask(self, granted: Callable[[], None]) -> Slot:
        """A slot that is granted at once, or later: then ``granted`` is called, from any thread."""
        slot = Slot(granted)
        with self._lock:
            if self._limit is None or self._taken < self._limit:
                self._taken += 1
                slot.is_granted = True
            else:
                self._waiting.append(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
        """The slot, or the place in the queue, is free for the next."""
        with self._lock:
            if not slot.is_granted:
                self._waiting.remove(slot)
                return
            slot.is_granted = False
            if not self._waiting:
                self._taken -= 1
                return
            heir = self._waiting.popleft()
            heir.is_granted = True
        heir.on_granted()
