"""What the threads of a SageMaker backend share: the attempts, and the events on their way to the tuner."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections import deque
from collections.abc import Iterable

from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.trial import Bill, End, TrialEvent


class Doorbell:
    """Wakes the thread that waits for it. Rung from threads and from signal handlers: a pipe, no lock."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        self._write: int | None = write
        for fd in (self._read, write):
            os.set_blocking(fd, False)
            fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)

    def ring(self) -> None:
        """Returns at once, however often it is called, and after :meth:`close` too."""
        if self._write is None:
            return  # a thread that nobody could wait for
        try:
            os.write(self._write, b"x")
        except BlockingIOError:
            pass  # it has been rung so often that the pipe is full

    def wait(self, timeout: float | None) -> None:
        """Returns when it was rung since the last call, or after ``timeout`` seconds."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if poll.poll(None if timeout is None else max(0.0, timeout) * 1000):
            try:
                while os.read(self._read, 4096):
                    continue
            except BlockingIOError:
                pass

    def close(self) -> None:
        """Frees the pipe."""
        write, self._write = self._write, None
        os.close(self._read)
        if write is not None:
            os.close(write)


class Desk:
    """All attempts of one run of the tuner. Whatever reads or changes an attempt holds :attr:`lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.bell = Doorbell()
        #: Set when the backend closes: all threads end, all waiting is cut short.
        self.closing = threading.Event()
        self.attempts: dict[tuple[int, int], Attempt] = {}
        #: The newest attempt of each trial, also when it is settled.
        self.current: dict[int, Attempt] = {}
        #: Jobs, since the last that was heard of through S3, that could not write there and reported by their logs.
        self.jobs_without_s3 = 0
        self._events: deque[TrialEvent] = deque()
        self._fatal: Exception | None = None
        self._freed = False

    def add(self, attempt: Attempt) -> None:
        """A new attempt, which is the trial's newest."""
        with self.lock:
            self.attempts[attempt.key] = attempt
            newest = self.current.get(attempt.trial_id)
            if newest is None or newest.number <= attempt.number:
                self.current[attempt.trial_id] = attempt

    def where(self, *phases: Phase) -> list[Attempt]:
        """Attempts in one of the phases, oldest first."""
        with self.lock:
            return [a for a in self.attempts.values() if a.phase in phases]

    def forget_settled(self) -> None:
        """Drops attempts of which nothing is to be expected any more, so that long experiments stay small."""
        with self.lock:
            for key, attempt in list(self.attempts.items()):
                if attempt.is_settled:
                    del self.attempts[key]

    def deliver(self, events: Iterable[TrialEvent]) -> None:
        """Hands events to the tuner."""
        with self.lock:
            before = len(self._events)
            self._events.extend(events)
            if len(self._events) > before:
                self.bell.ring()

    def worker_freed(self) -> None:
        """Lets a poll that waits return."""
        with self.lock:
            self._freed = True
        self.bell.ring()

    def fail(self, error: Exception) -> None:
        """The backend cannot go on: the next poll raises the error, after all events before it."""
        with self.lock:
            if self._fatal is None:
                self._fatal = error
        self.bell.ring()

    def ends_on_their_way(self) -> set[tuple[int, int]]:
        """Attempts whose end the tuner has not taken yet."""
        with self.lock:
            return {event[:2] for event in self._events if isinstance(event, End)}

    def dollars_on_their_way(self) -> float:
        """The sum of the bills that the tuner has not taken yet."""
        with self.lock:
            return sum(event.dollars or 0.0 for event in self._events if isinstance(event, Bill))

    def has_events(self) -> bool:
        """Whether there is something that the tuner has not taken yet."""
        with self.lock:
            return bool(self._events)

    def take_events(self) -> tuple[list[TrialEvent], bool]:
        """All events so far, and whether a worker became free since the last call.

        Raises:
            CloudtuneError: What was passed to :meth:`fail`, once all events are taken.
        """
        with self.lock:
            events, freed = list(self._events), self._freed
            self._events.clear()
            self._freed = False
            if not events and self._fatal is not None:
                raise self._fatal
            return events, freed
