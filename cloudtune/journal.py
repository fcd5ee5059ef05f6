"""What a tuner learns and decides: first in the log, and only then done."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from cloudtune.active_time import ActiveTime
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.audience import Audience
from cloudtune.store.store import Entry, Store
from cloudtune.tuning_status import TuningStatus

#: Seconds of this machine's clock between two writes into the log while trials are simulated: nothing outside could
#: know of what a crash takes away, and computing it again takes no longer.
_VIRTUAL_COMMIT_INTERVAL = 0.05


class Journal:
    """Entries on their way into the log, and what is to be done once they are there.

    Args:
        store: Open.
        status: Takes in each entry at once.
        backend: Open.
        clock: Of the experiment.
        audience: Called by this machine's clock where that of the backend is a virtual one.
    """

    def __init__(
        self, store: Store, status: TuningStatus, backend: TrialBackend, clock: ActiveTime, audience: Audience
    ) -> None:
        self._store = store
        self._status = status
        self._backend = backend
        self._is_virtual = backend.is_virtual
        self._clock = clock
        self._audience = audience
        self._entries: list[Entry] = []
        self._effects: list[Callable[[], object]] = []
        self._next_write = 0.0
        #: Active time of the newest entry.
        self.last = clock.now

    def note(self, entry: Entry) -> None:
        """Something was learnt or decided: it counts from now on."""
        self._status.apply(entry)
        self._entries.append(entry)
        self.last = self._clock.now

    def then(self, effect: Callable[[], object]) -> None:
        """To be done outside once everything noted so far is durable."""
        self._effects.append(effect)

    def length(self) -> int:
        """Of the log, what is not written yet included."""
        return self._store.length() + len(self._entries)

    def commit(self) -> None:
        """Makes what was decided durable, then does it."""
        if not self._is_virtual:
            self.write()
            if self._effects:
                self._store.flush()
        elif perf_counter() >= self._next_write:
            self._write_virtual()
        if self._effects:
            effects, self._effects = self._effects, []
            for effect in effects:
                effect()

    def _write_virtual(self) -> None:
        """Simulated trials are no effect outside: what is written, and who looks on, goes by this machine's clock."""
        self._next_write = perf_counter() + _VIRTUAL_COMMIT_INTERVAL
        self.write()
        unix = self._backend.wall_time()
        self._store.maintain(unix)
        self._audience.look(unix, self._status)

    def commit_all(self) -> None:
        """As :meth:`commit`, and nothing waits for its time to be written."""
        self._next_write = 0.0
        self.commit()

    def write(self) -> None:
        """Appends the entries to the log."""
        # Kept until the store has them: what status and scheduler have taken in must not be missing from the log.
        if self._entries:
            self._store.append(self._entries)
            self._entries = []

    def forget_effects(self) -> None:
        """Nothing of what was to be done will be."""
        self._effects.clear()
