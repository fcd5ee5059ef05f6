"""The time that a job holds instances, and what of it is billed."""

from __future__ import annotations

import math


class BillingMeter:
    """Counts the cloud seconds from the beginning of the download to the end of the upload, over all runs of a job."""

    def __init__(self) -> None:
        self._counted = 0.0
        self._since: float | None = None
        self._began = False

    def begin(self, now: float) -> None:
        """Instances are up from now on."""
        self._began = True
        if self._since is None:
            self._since = now

    def pause(self, now: float) -> None:
        """They are gone until the next ``begin``."""
        self._counted = self.seconds(now)
        self._since = None

    def seconds(self, now: float) -> float:
        """Cloud seconds so far."""
        return self._counted + (0.0 if self._since is None else max(0.0, now - self._since))

    def bill(self, now: float, discount: float) -> dict[str, int]:
        """``training_seconds`` and ``billable_seconds``: whole seconds, at least one. Nothing if nothing ever began.

        Args:
            now: Cloud time.
            discount: Share that is not billed: of spot instances, 0 for others.
        """
        if not self._began:
            return {}
        seconds = max(1, math.ceil(self.seconds(now)))
        return {"training_seconds": seconds, "billable_seconds": max(1, math.ceil(seconds * (1.0 - discount)))}
