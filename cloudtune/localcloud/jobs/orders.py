"""What others want of a job's thread: that it ends, that its instance is taken away, that it looks at the record."""

from __future__ import annotations

from cloudtune.localcloud.jobs.wakeup import Wakeup


class Killed(Exception):
    """The cloud is being taken down, or has forgotten the job: nothing is to be written to its record."""


class Orders(Wakeup):
    """Given from any thread, read by the job's own, which each of them wakes."""

    def __init__(self) -> None:
        super().__init__()
        self._killed = False
        self._interruption: bool | None = None

    def kill(self) -> None:
        """The thread is to end without a word."""
        self._killed = True
        self.wake()

    def interrupt(self, notice: bool) -> None:
        """The spot instance is to be taken away."""
        self._interruption = notice
        self.wake()

    def raise_if_killed(self) -> None:
        """Raises Killed; otherwise all wakes so far are seen."""
        self.clear()
        if self._killed:
            raise Killed

    def take_interruption(self) -> bool | None:
        """Whether the instance is taken away with notice; None if it is not. Only once for every order."""
        notice, self._interruption = self._interruption, None
        return notice
