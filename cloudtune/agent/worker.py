"""Something that takes long, done in a thread of its own while the main thread listens to orders."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from cloudtune.agent.events import LOOK, Events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Worker(Generic[T]):
    """A call in a thread of its own. An event LOOK tells that it is done.

    Args:
        call: What to call.
        events: Told when it has returned.
    """

    def __init__(self, call: Callable[[], T], events: Events) -> None:
        self._call = call
        self._events = events
        self._answers: list[T] = []
        self._error: Exception | None = None
        self.is_done = False
        threading.Thread(target=self._run, name="worker", daemon=True).start()

    def result(self) -> T:
        """What the call has returned, or raised."""
        if self._error is not None:
            raise self._error
        return self._answers[0]

    def _run(self) -> None:
        try:
            self._answers.append(self._call())
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error
        self.is_done = True
        self._events.post(LOOK)
