"""Threads of a SageMaker backend: each does one kind of work, again and again, and outlives failures that pass."""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod

from cloudtune.aws.errors import PASSING, AwsError, Cancelled, Throttled
from cloudtune.backend.sagemaker_backend.desk import Desk

logger = logging.getLogger(__name__)

#: Seconds between two tries while a service of AWS does not answer: doubling up to the longest, with jitter.
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 20.0


class Service(ABC):
    """A thread that takes turns. What passes (no answer, throttling, 5xx) is waited out; anything else ends the tuner.

    Args:
        desk: Shared with the other services.
        name: For people: what does not work while AWS does not answer.
    """

    def __init__(self, desk: Desk, name: str) -> None:
        self.desk = desk
        self.name = name
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"cloudtune {name}", daemon=True)
        self._random = random.Random()  # for jitter only
        self._failures = 0

    @abstractmethod
    def turn(self) -> float | None:
        """Does what is due; returns after how many seconds the next turn is due (None: when :meth:`wake` is called)."""

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Lets the next turn begin now."""
        self._wanted.set()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self, until: float | None = None) -> None:
        """Returns when the thread has ended; ``desk.closing`` must be set.

        Args:
            until: Returns then at the latest, by the clock of :func:`now`: a call of AWS may be answered later.
        """
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(None if until is None else max(0.0, until - now()))

    def _run(self) -> None:
        closing = self.desk.closing
        while not closing.is_set():
            self._wanted.clear()
            try:
                wait = self.turn()
            except Cancelled:
                continue  # closing is set
            except PASSING as error:
                wait = self._wait_after(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the tuner must hear of it and not wait for ever
                self.desk.fail(error)
                return
            else:
                if self._failures:
                    logger.info("%s works again", self.name)
                    self._failures = 0
            self._wanted.wait(wait)

    def _wait_after(self, error: AwsError) -> float:
        if not self._failures:
            logger.log(
                logging.INFO if isinstance(error, Throttled) else logging.WARNING,
                "%s does not work at the moment, nothing is lost, trying again: %s",
                self.name,
                error,
            )
        self._failures += 1
        return wait_after(self._failures, self._random)


def wait_after(failures: int, chance: random.Random) -> float:
    """Seconds until the next try of what has failed so many times in a row, because AWS does not answer."""
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 10))
    return chance.uniform(longest / 2, longest)


def now() -> float:
    """Seconds of a clock that nobody sets."""
    return time.monotonic()
