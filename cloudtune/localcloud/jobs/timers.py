"""What is to be done at which time, for a thread that waits in select."""

from __future__ import annotations

import time

#: poll(2) takes milliseconds as a C int; who wakes early looks at the clock and waits again.
LONGEST_WAIT = 86_400.0


class Timers:
    """Named points in real time, each of which comes once."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def set(self, name: str, real_seconds: float) -> None:
        """``name`` is due in so many seconds, whatever was set before."""
        self._due[name] = time.monotonic() + max(0.0, real_seconds)

    def set_unless(self, name: str, real_seconds: float) -> None:
        """The same, unless it is set already."""
        if name not in self._due:
            self.set(name, real_seconds)

    def drop(self, name: str) -> None:
        """``name`` is not to come any more."""
        self._due.pop(name, None)

    def timeout(self) -> float | None:
        """Real seconds until the next one; None if there is none."""
        if not self._due:
            return None
        return min(max(0.0, min(self._due.values()) - time.monotonic()), LONGEST_WAIT)

    def due(self) -> list[str]:
        """Those whose time has come, in order of their times; they are no longer set."""
        now = time.monotonic()
        names = sorted((at, name) for name, at in self._due.items() if at <= now)
        for _, name in names:
            del self._due[name]
        return [name for _, name in names]
