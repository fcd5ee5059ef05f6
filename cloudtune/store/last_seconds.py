"""What a process still does that is ended by force soon: nothing is waited for longer than it lives."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from cloudtune.aws.errors import Unreachable

#: So many seconds after its time is over, which is that of its trials, a tuner may still write its last entries.
_AFTER = 4.0
#: Tried for so long in any case, in seconds: where S3 works this is enough.
_LEAST = 0.5
#: One thing is tried for so long once the process was told to end: its trials are to be told, too.
LONGEST = 10.0


class LastSeconds:
    """How long a store may wait for S3.

    Args:
        time_left: Seconds until its tuner is to have ended; infinite as long as nobody waits for that.
    """

    def __init__(self, time_left: Callable[[], float] = lambda: math.inf) -> None:
        self._time_left = time_left

    def left(self) -> float:
        """Seconds that S3 may be waited for; infinite as long as nobody waits for the tuner's end."""
        return max(_LEAST, self._time_left() + _AFTER)

    def check(self) -> Callable[[], None]:
        """For one thing that is tried again and again: raises Unreachable a while after the process was told to end."""
        until = math.inf

        def check() -> None:
            nonlocal until
            left = self.left()
            if left < math.inf:
                until = min(until, time.monotonic() + min(LONGEST, left))
            if time.monotonic() >= until:
                raise _no_answer()

        return check

    def run(self, work: Callable[[], object], longest: float | None = None) -> None:
        """Does something that may take long where S3 does not answer.

        Args:
            work: To be done. It is left to itself when there is no more time: in a thread that keeps nobody waiting.
            longest: For so many seconds at most, by default :data:`LONGEST`; no limit where nobody waits for the end.

        Raises:
            Unreachable: There was no time to end it.
        """
        left = self.left()
        if left == math.inf:
            work()
            return
        done: Future[None] = Future()

        def do() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - whoever waits is told
                done.set_exception(error)
            else:
                done.set_result(None)

        threading.Thread(target=do, name="cloudtune-last", daemon=True).start()
        wait((done,), min(LONGEST if longest is None else longest, left))
        if not done.done():
            raise _no_answer()
        done.result()


def _no_answer() -> Unreachable:
    return Unreachable("S3 could not be written to in the time that the tuner has left; continue the experiment later.")
