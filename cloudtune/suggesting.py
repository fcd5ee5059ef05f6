"""Asks the scheduler for suggestions, and has what takes long computed beside the loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Any

from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion

logger = logging.getLogger(__name__)


class Suggestions:
    """What a scheduler suggests, one after another, without keeping the loop from handling events.

    Args:
        scheduler: Asked in the thread of the caller alone; only its :meth:`~TrialScheduler.work` is done in another.
        wake: Called, from any thread, when there is a suggestion to be had.
        aside: False: everything is computed at once (where the clock is a virtual one).
    """

    def __init__(self, scheduler: TrialScheduler, wake: Callable[[], None], aside: bool) -> None:
        self._scheduler = scheduler
        self._wake: Callable[[], None] | None = wake
        self._lock = threading.Lock()
        self._aside = aside
        self._thread: ThreadPoolExecutor | None = None
        self._working: Future[Any] | None = None
        #: Length of the log that the last suggestion was computed from.
        self.computed_at = 0
        #: Real time that the scheduler has taken, beside the loop or in it.
        self.seconds = 0.0

    def is_ready(self, length: int) -> bool:
        """Whether :meth:`next` is quick now. If not, its work is begun or goes on, and ``wake`` is called at its end.

        Args:
            length: Of the log.
        """
        if self._working is None:
            self.computed_at = length
            work = self._scheduler.work() if self._aside else None
            if work is None:
                return True
            work = self._timed(work)
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "cloudtune suggesting")
            self._working = self._thread.submit(work)
            self._working.add_done_callback(lambda _: self._wake_up())
        return self._working.done()

    def next(self) -> TrialSuggestion | None:
        """The next suggestion, or None if there is none now. Raises whatever the scheduler raises."""
        begin = perf_counter()
        if self._working is not None:
            working, self._working = self._working, None
            self._scheduler.take(working.result())
        suggestion = self._scheduler.suggest()
        self.seconds += perf_counter() - begin
        return suggestion

    def _timed(self, work: Callable[[], Any]) -> Callable[[], Any]:
        def timed() -> Any:
            begin = perf_counter()
            try:
                return work()
            finally:
                # In the only thread that works aside, while the loop waits for it.
                self.seconds += perf_counter() - begin

        return timed

    def _wake_up(self) -> None:
        with self._lock:
            if self._wake is not None:
                self._wake()

    def abandon(self) -> None:
        """There will be no further suggestion: ``wake`` is not called from now on."""
        with self._lock:
            self._wake = None

    def close(self) -> None:
        """Waits for work that is under way. What it was for is not needed any more; its error is told."""
        if self._thread is None:
            return
        self._thread.shutdown()
        if self._working is not None and (error := self._working.exception()) is not None:
            logger.warning("a suggestion that is not needed any more could not be computed: %r", error)
        self._thread = self._working = None
