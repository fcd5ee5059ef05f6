"""The clock of an experiment: seconds during which a tuner drives it."""

from __future__ import annotations

from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.tuning_status import TuningStatus


class ActiveTime:
    """Goes on where the last tuner's ended; it does not run while no tuner drives the experiment.

    Args:
        backend: Open; owns the clock that this one is read from.
        status: Has the time that the log has come to, and is told the time at each reading.
    """

    def __init__(self, backend: TrialBackend, status: TuningStatus) -> None:
        self._backend = backend
        self._status = status
        self._origin = backend.time() - status.wallclock_time
        #: At the last reading, to the microsecond.
        self.now = status.wallclock_time
        status.waited_time = 0.0

    def read(self) -> None:
        """Brings :attr:`now` up to date. It never goes back."""
        # At a third of the price of round().
        now = int((self._backend.time() - self._origin) * 1e6 + 0.5) / 1e6
        if now > self.now:
            self.now = now
        self._status.wallclock_time = self.now

    def stand_still(self) -> None:
        """What has passed since the last reading was no tuning."""
        waited = self._backend.time() - self._origin - self.now
        if waited > 0:
            self._origin += waited
            self._status.waited_time += waited

    def unix(self) -> float:
        """The last reading as the backend's clock has it."""
        return self.now + self._origin

    def active(self, unix: float) -> float:
        """A time of the backend's clock as active time."""
        return unix - self._origin
