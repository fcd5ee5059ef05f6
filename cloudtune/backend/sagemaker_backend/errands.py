"""Work on checkpoints in S3 that goes on beside the tuner: copies and deletions, in order for each trial."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from cloudtune.backend.sagemaker_backend.desk import Desk

logger = logging.getLogger(__name__)

_THREADS = 8


class Errands:
    """Runs errands in threads. One that is about a trial begins when all earlier ones about it have ended.

    Args:
        desk: Its lock guards the books.
        confirm: Called before each errand; raises Fenced if another tuner drives the experiment now.
    """

    def __init__(self, desk: Desk, confirm: Callable[[], None] | None = None) -> None:
        self._desk = desk
        self._confirm = confirm
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="cloudtune errand")
        self._last: dict[int, Future[None]] = {}
        self._errors: dict[int, Exception] = {}
        #: Called, from a thread, after each errand.
        self.done_listeners: list[Callable[[], None]] = []

    def run(self, what: str, work: Callable[[], object], trials: tuple[int, ...], needed_by: int | None = None) -> None:
        """Has the work done soon.

        Args:
            what: For messages.
            work: May raise; then a warning is logged, and where a trial needs it, that trial cannot start.
            trials: Those it is about.
            needed_by: The trial that cannot start without it.
        """
        with self._desk.lock:
            before = [self._last[trial] for trial in trials if trial in self._last]

            def do() -> None:
                wait(before)
                try:
                    if self._confirm is not None:
                        self._confirm()
                    work()
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told where it matters
                    self._failed(what, error, needed_by)
                else:
                    if needed_by is not None:
                        with self._desk.lock:
                            self._errors.pop(needed_by, None)

            future = self._pool.submit(do)
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

    def close(self) -> None:
        """Returns when all errands are done."""
        self._pool.shutdown(wait=True)

    def _failed(self, what: str, error: Exception, needed_by: int | None) -> None:
        logger.warning("%s has failed: %s", what, error)
        if needed_by is not None:
            with self._desk.lock:
                self._errors[needed_by] = error

    def _forget(self, future: Future[None], trials: tuple[int, ...]) -> None:
        with self._desk.lock:
            for trial in trials:
                if self._last.get(trial) is future:
                    del self._last[trial]
        for listener in self.done_listeners:
            listener()
