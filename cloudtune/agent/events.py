"""What the agent's main thread waits for: signals, the end of a child, orders found by other threads."""

from __future__ import annotations

import queue
import signal
from typing import NamedTuple

#: The platform takes the container down: spot interruption, StopTrainingJob, max runtime.
TERMINATE = "terminate"
#: A child process may have ended.
CHILD = "child"
#: The life object asks for it; the detail is protocol.WISH_STOP or WISH_PAUSE.
WISH = "wish"
#: The tuner gives no sign of life; the detail is a sentence.
SILENCE = "silence"
#: A thread of the agent failed; the detail is a sentence.
CRASH = "crash"
#: Something that the main thread waits for by other means has happened.
LOOK = "look"


class Event(NamedTuple):
    """Something happened."""

    kind: str
    detail: str = ""


class Events:
    """A queue that signal handlers may write to, since ``SimpleQueue.put`` is reentrant."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def install(self) -> None:
        """Has SIGTERM, SIGINT and SIGCHLD arrive as events. To be called in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.post(TERMINATE))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: self.post(CHILD))

    def post(self, kind: str, detail: str = "") -> None:
        """Adds an event. From any thread."""
        self._queue.put(Event(kind, detail))

    def wait(self, timeout: float) -> Event | None:
        """The next event, or None if there is none for ``timeout`` seconds."""
        try:
            return self._queue.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None
