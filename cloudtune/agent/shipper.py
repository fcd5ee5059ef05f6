"""Ships what is new as soon as it may: reports, a heartbeat, at last the end mark."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import traceback

from cloudtune.agent.events import CRASH, LOOK, Events
from cloudtune.agent.s3_errors import S3Denied, S3Error, S3NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from cloudtune.agent.console import Console
    from cloudtune.agent.log_outbox import LogOutbox, NoOutbox
    from cloudtune.agent.outbox import Outbox
    from cloudtune.agent.report_file import ReportFile

    AnyOutbox: TypeAlias = Outbox | LogOutbox | NoOutbox

#: Seconds between two looks at the report file where nobody wakes us.
_LOOK_INTERVAL = 1.0
_LONGEST_WAIT = 8.0
#: Reads in a row at most, of some megabytes each: a script that never ceases to report does not hold us.
_MOST_READS = 32


class Shipper:
    """A thread that puts the outbox: at most once per ``put_interval``, the first news after silence at once.

    A put that fails is tried again for ever, with growing waits.

    Args:
        outbox: Where news goes.
        report_file: Where reports come from.
        put_interval: Seconds between two puts, at the least.
        heartbeat: Seconds after which the head is put again without news.
        events: Told if the thread fails, and when something was shipped that was waited for.
        console: Told, once, that S3 is not there.
    """

    def __init__(
        self,
        outbox: AnyOutbox,
        report_file: ReportFile,
        put_interval: float,
        heartbeat: float,
        events: Events,
        console: Console,
    ) -> None:
        self.outbox = outbox
        self.denied = False  # whether the last put failed for want of rights
        self.crashed = False  # whether the thread has ended with an error
        self._file = report_file
        self._file_lock = threading.Lock()
        self._interval = put_interval
        self._heartbeat = heartbeat
        self._events = events
        self._console = console
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._fifo = -1
        self._in_a_hurry = False
        self._asked = 0
        self._done = 0
        self._failures = 0
        self._next_put = 0.0
        self._retry_at = 0.0
        self._last_put = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    def start(self, fifo: str) -> None:
        """Begins.

        Args:
            fifo: Path of the named pipe through which Reporters wake us; it is made. Where it cannot be made, reports
                are found a little later.
        """
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fifo)
            os.mkfifo(fifo)
            os.chmod(fifo, 0o622)  # noqa: S103 - the script may become another user
            # For writing too: else it would read as ended whenever no Reporter holds it.
            self._fifo = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread.start()

    def take_in(self) -> int:
        """Reads the report file; how many reports the script has made so far."""
        with self._file_lock:
            for _ in range(_MOST_READS):
                reports = self._file.read_new()
                if not reports:
                    break
                self.outbox.add(reports)
            return self.outbox.made

    def shipped(self) -> int:
        """How many reports were shipped."""
        return self.outbox.shipped

    def hurry(self) -> None:
        """The script has ended: what is still to be shipped waits for nothing."""
        self._in_a_hurry = True
        self.ask()

    def ask(self) -> int:
        """Asks that all there is now be shipped; a ticket for :meth:`is_done`. An event LOOK tells when it may be."""
        self._asked += 1
        with contextlib.suppress(BlockingIOError):  # it has been woken already
            os.write(self._wake_out, b"\n")
        return self._asked

    def is_done(self, ticket: int) -> bool:
        """Whether all that was there when the ticket was drawn is shipped."""
        return self._done >= ticket

    def _run(self) -> None:
        try:
            while True:
                self._wait(self._turn())
        except Exception as error:  # noqa: BLE001 - the main thread ends the run in order
            self.crashed = True
            self._console.note(traceback.format_exc())
            self._events.post(CRASH, f"the agent could not ship reports: {type(error).__name__}: {error}")

    def _turn(self) -> float:
        """Ships what there is, if it may; seconds until the next look."""
        asked = self._asked
        self.take_in()
        now = time.monotonic()
        if self.outbox.has_news() or now >= self._last_put + self._heartbeat:
            # A new state or checkpoint is told at once: there are few.
            has_reports = self.outbox.made > self.outbox.shipped and not self._in_a_hurry
            not_before = max(self._retry_at, self._next_put if has_reports else 0.0)
            if now < not_before:
                return not_before - now
            self._put(now, has_reports)
            if self.outbox.has_news():  # it failed, or there were reports meanwhile
                return self._retry_at - time.monotonic()
        if self._done < asked:
            self._done = asked
            self._events.post(LOOK)
        # Until the next put is due Reporters would wake us in vain; from then on they do.
        return min(_LOOK_INTERVAL, self._next_put - now) if now < self._next_put else _LOOK_INTERVAL

    def _put(self, now: float, has_reports: bool) -> None:
        try:
            self.outbox.put()
        except S3Error as error:
            self.denied = isinstance(error, (S3Denied, S3NotFound))
            if not self._failures:
                self._console.note(f"reports cannot be shipped at the moment, the agent goes on trying: {error}")
            self._failures += 1
            self._retry_at = time.monotonic() + min(0.25 * 2 ** min(self._failures, 10), _LONGEST_WAIT)
            return
        if self._failures:
            self._console.note("reports are shipped again")
        self.denied = False
        self._failures = 0
        self._last_put = now
        if has_reports:
            self._next_put = now + self._interval

    def _wait(self, timeout: float) -> None:
        """Until news may be there. While a put has to wait, Reporters do not wake us."""
        sources = [self._wake_in]
        if self._fifo >= 0 and time.monotonic() >= max(self._next_put, self._retry_at):
            sources.append(self._fifo)
        for source in select.select(sources, (), (), max(timeout, 0.0))[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(source, 1 << 16)
