"""Watches the life object: the tuner's wishes, and whether there is a tuner at all."""

from __future__ import annotations

import json
import threading
import time
import traceback

from cloudtune.agent.events import CRASH, SILENCE, WISH, Events
from cloudtune.agent.protocol import WISH_PAUSE, WISH_STOP, Keys, wish_key
from cloudtune.agent.s3_errors import S3Denied, S3Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.agent.forms import Task
    from cloudtune.agent.s3 import S3


class Life:
    """What the life object says to one attempt, and for how long it has not changed.

    Silence counts only between two reads in a row that worked and found the object unchanged (or missing): what time
    of day it is anywhere does not matter, nor does an S3 that cannot be reached.

    Args:
        s3: Reads the bucket.
        task: Says whose life object, and which attempt.
        clock: Seconds that only grow.
    """

    def __init__(self, s3: S3, task: Task, clock: Callable[[], float] = time.monotonic) -> None:
        self._s3 = s3
        self._key = Keys(task["prefix"]).life
        self._wish_key = wish_key(task["trial"], task["attempt"])
        self._clock = clock
        self._etag: str | None = None
        self._last_read: float | None = None
        self.silence = 0.0
        self.wish: str | None = None

    def look(self) -> None:
        """Reads the object.

        Raises:
            S3Error: It could not be read.
        """
        from cloudtune.agent.s3 import NotChanged

        last, self._last_read = self._last_read, None
        try:
            got = self._s3.get(self._key, self._etag)
        except NotChanged:
            got = None
        now = self._last_read = self._clock()
        if got is not None:
            self._etag = got.etag
            self.silence = 0.0
            self.wish = self._wish_in(got.body)
        elif last is not None:
            self.silence += now - last

    def _wish_in(self, body: bytes) -> str | None:
        try:
            life = json.loads(body)
        except ValueError:  # whoever wrote this is no tuner of ours
            return self.wish
        if not isinstance(life, dict):
            return self.wish
        wishes = life.get("wishes")
        wish = wishes.get(self._wish_key) if isinstance(wishes, dict) else None
        wish = wish or life.get("stop_all")
        if wish not in (WISH_STOP, WISH_PAUSE):
            return WISH_STOP if wish else None  # a newer tuner's word for ending
        return str(wish)


class LifeWatch:
    """A thread that looks every ``watch_interval`` seconds and tells of a wish, or of silence, once.

    Args:
        life: What is watched.
        interval: Seconds between two looks.
        timeout: Seconds of silence after which the tuner counts as dead; 0: never.
        events: Told.
        note: Tells people, once, that the object cannot be read.
    """

    def __init__(
        self, life: Life, interval: float, timeout: float, events: Events, note: Callable[[str], None]
    ) -> None:
        self._life = life
        self._interval = interval
        self._timeout = timeout
        self._events = events
        self._note = note
        self._ended = threading.Event()
        self._denied = False
        self._thread = threading.Thread(target=self._run, name="life", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def end(self) -> None:
        """Ends; a look that is under way tells nothing more."""
        self._ended.set()

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._interval):
                self._look()
        except Exception as error:  # noqa: BLE001 - the main thread ends the run in order
            self._note(traceback.format_exc())
            self._events.post(CRASH, f"the agent could not watch the tuner: {type(error).__name__}: {error}")

    def _look(self) -> None:
        try:
            self._life.look()
        except S3Error as error:
            if isinstance(error, S3Denied) and not self._denied:
                self._denied = True
                self._note(f"wishes of the tuner cannot be read: {error}")
            return
        if self._ended.is_set():
            return
        if self._life.wish is not None:
            self._events.post(WISH, self._life.wish)
            self._ended.set()
        elif self._timeout and self._life.silence >= self._timeout:
            self._events.post(SILENCE, f"the tuner gave no sign of life for {self._life.silence:.0f} seconds")
            self._ended.set()
