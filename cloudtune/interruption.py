"""Ctrl-C and SIGTERM while an experiment runs: the first asks it to end in order, the second ends at once."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

_SHOW_CURSOR = "\x1b[?25h"


class TuningInterrupted(SystemExit):
    """The experiment was ended by a signal, in order. ``code`` is the exit code a shell expects: 128 + the signal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return f"interrupted by {signal.Signals(self.signal_number).name}"


def resumed_as(name: str, place: str) -> str:
    """What ``cloudtune resume`` takes to continue an experiment on this machine.

    Args:
        name: Its name.
        place: Where its results are: a folder, or ``s3://bucket/prefix``.
    """
    return f"{place.rstrip('/')} --here" if place.startswith("s3://") else name


class SignalWatch:
    """Handles SIGINT and SIGTERM while it is entered; elsewhere than in the main thread it does nothing.

    Args:
        on_signal: Called from the handler with the signal's name, once; answers True if it tells the user itself.
        name: Of the experiment, to say how it is continued.
        trials_outlive: Whether trials, and what is kept for them, go on where the tuner ends at once.
        outer: One that is entered already: what it has received counts for this one, and the other way round.
    """

    def __init__(
        self,
        on_signal: Callable[[str], bool | None] = lambda _name: None,
        name: str = "",
        trials_outlive: bool = False,
        outer: SignalWatch | None = None,
    ) -> None:
        self._on_signal = on_signal
        #: Of the experiment, as far as it is known.
        self.name = name
        #: What `cloudtune resume` takes; "": the name alone.
        self.resumed_as = ""
        self._trials_outlive = trials_outlive
        self._outer = outer
        self._before: dict[int, Any] = {}
        self.received: int | None = None
        #: When the first signal came, by a clock that nobody sets.
        self.received_at = 0.0
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        self._pid = os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                # What somebody ignores on purpose (nohup, a background job), or handles outside of Python, stays so.
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._handle)
        # Now that none goes past this one.
        if self.received is None and self._outer is not None and self._outer.received is not None:
            self.received, self.received_at = self._outer.received, self._outer.received_at
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A process that user code has forked from the tuner: the signal means what it meant before.
            signal.signal(number, self._before[number])
            os.kill(os.getpid(), number)
            return
        name = signal.Signals(number).name
        if self.received is None:
            self._receive(number, time.monotonic())
            if not self._on_signal(name):
                _say(f"\n{first_word(name)}\n")
            return
        if _interactive():
            raise KeyboardInterrupt
        # Everything is in the log up to the last turn, and local trials die with this process.
        show_cursor = _SHOW_CURSOR if sys.stderr is not None and sys.stderr.isatty() else ""
        left = f", or end what it leaves with `cloudtune reap {self.name}`" if self._trials_outlive else ""
        again = self.resumed_as or self.name
        _say(f"{show_cursor}\n{name} again: ending at once; continue with `cloudtune resume {again}`{left}\n")
        os._exit(128 + number)

    def _receive(self, number: int, at: float) -> None:
        if self.received is None:
            self.received, self.received_at = number, at
        if self._outer is not None:
            self._outer._receive(number, at)

    def time_left(self, seconds: float | None) -> float:
        """What is left of so many seconds since the first signal; infinite before it, or where there is no limit."""
        if self.received is None or seconds is None:
            return math.inf
        return self.received_at + seconds - time.monotonic()

    def raise_if_received(self) -> None:
        """Raises :meth:`error` if a signal has come."""
        if self.received is not None:
            raise self.error()

    def error(self) -> BaseException:
        """What to raise once everything is stored: an interactive session is interrupted, a program ends."""
        assert self.received is not None
        if self.received == signal.SIGINT and _interactive():
            return KeyboardInterrupt()
        return TuningInterrupted(self.received)


def reserve_standard_descriptors() -> None:
    """Opens the null device where a program was started without standard input, output or error.

    Otherwise the next file opened, the event log say, gets the number, and stray messages go into it.
    """
    for wanted in range(3):
        try:
            os.fstat(wanted)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def first_word(name: str) -> str:
    """What the user is told when the first signal arrives."""
    return f"{name}: stopping the running trials; once more ends at once"


def _say(text: str) -> None:
    """Writes past Python's buffers, which the signal may have interrupted. That nobody reads it is no failure."""
    try:
        os.write(sys.stderr.fileno(), text.encode())
    except (OSError, ValueError, AttributeError) as error:
        logger.debug("nobody reads standard error: %s", error)


def _interactive() -> bool:
    """True in a Python prompt or a notebook, which an interruption must not end."""
    return hasattr(sys, "ps1") or "ipykernel" in sys.modules
