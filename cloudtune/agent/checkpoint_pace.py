"""How patient a save or restore of a checkpoint is, and what ends its waits."""

from __future__ import annotations

import threading
import time

from cloudtune.agent.s3_errors import S3Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 10.0


class NotNow(Exception):
    """There will be no generation this time; the text says why."""


class Pace:
    """Waits of one save or restore.

    Args:
        patience: For so many seconds calls are repeated while S3 is not reachable; 0: not at all.
        hurry: Set by another thread to end the save; None: nobody does.
        clock: Seconds, never going back.
    """

    def __init__(
        self, patience: float, hurry: threading.Event | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience = patience
        self._hurry = hurry or threading.Event()
        self._clock = clock
        self.waited = 0.0

    def pause(self, seconds: float) -> None:
        """Waits.

        Raises:
            NotNow: Somebody is in a hurry.
        """
        started = self._clock()
        hurried = self._hurry.wait(seconds)
        self.waited += self._clock() - started
        if hurried:
            raise NotNow("the script has ended meanwhile")

    def patiently(self, action: Callable[[], T]) -> T:
        """What ``action`` returns, which is repeated while S3 is not reachable.

        Raises:
            S3Unreachable: It was not for too long.
        """
        until = None  # known with the first failure: what moves gigabytes may take longer than patience lasts
        wait = _FIRST_WAIT
        while True:
            self.pause(0)
            try:
                return action()
            except S3Unreachable:
                now = self._clock()
                until = now + self._patience if until is None else until
                if now + wait > until:
                    raise
            self.pause(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
