"""The moment in which an attempt has ended for its tuner: told once, whoever learns of it first."""

from __future__ import annotations

from collections.abc import Callable

from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.outcome import end_by_mark
from cloudtune.trial import End


class Ending:
    """Makes end events. Callers hold the desk's lock and deliver what they get.

    Args:
        desk: Of the backend.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        #: Called with each attempt whose end is told.
        self.listeners: list[Callable[[Attempt], None]] = []
        #: Called with each attempt whose agent has written an end mark.
        self.mark_listeners: list[Callable[[Attempt], None]] = []

    def by_mark(self, attempt: Attempt) -> list[End]:
        """The end that the attempt's newest end mark tells of, if there is one and it decides."""
        if attempt.mark is None or attempt.end_delivered:
            return []
        for listener in self.mark_listeners:
            listener(attempt)
        end = end_by_mark(attempt, attempt.mark)
        return [] if end is None else self.tell(attempt, end)

    def tell(self, attempt: Attempt, end: End) -> list[End]:
        """The end as an event, unless it was told before."""
        ends = attempt.end(end)
        if ends:
            for listener in self.listeners:
                listener(attempt)
        return ends

    def free(self, attempt: Attempt) -> None:
        """The attempt occupies no machine any more."""
        if attempt.phase is not Phase.OVER:
            attempt.phase = Phase.OVER
            self._desk.worker_freed()
