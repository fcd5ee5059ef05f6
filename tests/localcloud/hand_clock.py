"""A cloud clock that tests move by hand."""

from __future__ import annotations

from cloudtune.localcloud.clock import CloudClock


class HandClock(CloudClock):
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def elapsed(self) -> float:
        return self.at
