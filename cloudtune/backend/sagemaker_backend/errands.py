"""Work that goes on beside the tuner, in order for each trial: on checkpoints in S3, on machines that are kept."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from cloudtune.aws.errors import PASSING, AwsError, CredentialsExpired
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.service import now, wait_after

logger = logging.getLogger(__name__)

_THREADS = 8


class Errands:
    """Runs errands in threads. One that is about a trial begins when all earlier ones about it have ended.

    What passes (no answer, throttling, 5xx) is waited out until the tuner ends.

    Args:
        desk: Its lock guards the books.
        confirm: Called before each errand; raises Fenced if another tuner drives the experiment now.
    """

    def __init__(self, desk: Desk, confirm: Callable[[], None] | None = None) -> None:
        self._desk = desk
        self._confirm = confirm
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="cloudtune errand")
        self._last: dict[int, Future[None]] = {}
        self._open: set[Future[None]] = set()
        self._in_a_hurry = self._closing = False
        self._left_out = 0
        self._errors: dict[int, Exception] = {}
        self._random = random.Random()  # for jitter only
        #: Called, from a thread, after each errand.
        self.done_listeners: list[Callable[[], None]] = []

    def run(
        self,
        what: str,
        work: Callable[[], object],
        trials: tuple[int, ...],
        needed_by: int | None = None,
        may_be_left: bool = True,
    ) -> None:
        """Has the work done soon.

        Args:
            what: For messages.
            work: May raise; then a warning is logged, and where a trial needs it, that trial cannot start. It is done
                again where what it met passes.
            trials: Those it is about.
            needed_by: The trial that cannot start without it.
            may_be_left: Where there is no time, it need not be done: the next tuner does it.
        """
        with self._desk.lock:
            before = [self._last[trial] for trial in trials if trial in self._last]

            def do() -> None:
                wait(before)
                failures = 0
                while not (may_be_left and self._is_left_out(needed_by)):
                    try:
                        if self._confirm is not None:
                            self._confirm()
                        work()
                    except PASSING as error:
                        failures += 1
                        if self._may_try_again(what, error, failures):
                            continue
                        self._closing = True  # each that is left would wait as long for the same failure
                        self._failed(what, error, needed_by)
                    except Exception as error:  # noqa: BLE001 - whatever it is, it is told where it matters
                        self._failed(what, error, needed_by)
                    else:
                        self._has_done(needed_by)
                    return

            future = self._pool.submit(do)
            self._open.add(future)
            for trial in trials:
                self._last[trial] = future
            future.add_done_callback(lambda done: self._forget(done, trials))

    def are_done(self, trial: int) -> bool:
        """Whether nothing is under way for a trial."""
        with self._desk.lock:
            return trial not in self._last

    def error_of(self, trial: int) -> Exception | None:
        """Why the last errand that the trial needs has failed, if so."""
        with self._desk.lock:
            return self._errors.get(trial)

    def are_all_done(self) -> bool:
        """Whether nothing is under way."""
        with self._desk.lock:
            return not self._last

    def hasten(self) -> None:
        """The tuner has little time: what has not begun, and no trial waits for, is left to the next one."""
        self._in_a_hurry = True

    def close(self, until: float | None = None) -> None:
        """Returns when all errands are done.

        Args:
            until: Returns then at the latest, by the clock of :func:`now`; what has not begun is left to the next
                tuner.
        """
        unfinished: set[Future[None]] = set()
        if until is None:
            self._pool.shutdown(wait=True)
        else:
            self._closing = True
            self._pool.shutdown(wait=False)
            with self._desk.lock:
                still_open = set(self._open)
            unfinished = wait(still_open, max(0.0, until - now())).not_done
        running = sum(future.running() for future in unfinished)
        left_out = self._left_out + len(unfinished) - running
        if left_out or running:
            logger.info(
                "%s %d errands (on checkpoints, or machines that are kept) are left to the next tuner, and %d are not "
                "finished",
                "because AWS does not answer" if until is None else "for want of time",
                left_out,
                running,
            )

    def _is_left_out(self, needed_by: int | None) -> bool:
        with self._desk.lock:
            left_out = self._closing or (self._in_a_hurry and needed_by is None)
            self._left_out += left_out
        return left_out

    def _may_try_again(self, what: str, error: AwsError, failures: int) -> bool:
        """Waits; not once the tuner ends."""
        if failures == 1 and not self._desk.closing.is_set():
            logger.warning("%s does not work at the moment, trying again: %s", what, error)
        return not self._desk.closing.wait(wait_after(failures, self._random))

    def _has_done(self, needed_by: int | None) -> None:
        if needed_by is not None:
            with self._desk.lock:
                self._errors.pop(needed_by, None)

    def _failed(self, what: str, error: Exception, needed_by: int | None) -> None:
        if isinstance(error, CredentialsExpired):
            self._desk.fail(error)  # nothing else would succeed either
        logger.warning("%s has failed: %s", what, error)
        if needed_by is not None:
            with self._desk.lock:
                self._errors[needed_by] = error

    def _forget(self, future: Future[None], trials: tuple[int, ...]) -> None:
        with self._desk.lock:
            self._open.discard(future)
            for trial in trials:
                if self._last.get(trial) is future:
                    del self._last[trial]
            if not self._last:
                self._desk.bell.ring()  # a tuner that is about to end waits for it
        for listener in self.done_listeners:
            listener()
