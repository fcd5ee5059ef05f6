"""Ctrl-C that ends a wait at once, and everything else when it is done: a half drawn display would stay."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Self


class CtrlC:
    """Handles SIGINT while it is entered; elsewhere than in the main thread it does nothing.

    A second Ctrl-C raises KeyboardInterrupt wherever it meets the program. Once it was raised, the count begins anew:
    one that comes while the display is taken away waits as well.
    """

    def __init__(self) -> None:
        self._pause = threading.Event()
        self._waits = False
        self._came = False
        self._handles = False

    def __enter__(self) -> Self:
        # What somebody ignores on purpose (a background job), or handles in a way of his own, stays so.
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._handles = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._handles = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._came or self._waits:
            self._raise()
        self._came = True

    def _raise(self) -> NoReturn:
        self._came = self._waits = False
        raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Waits; raises KeyboardInterrupt if Ctrl-C comes, or has come."""
        try:
            self._waits = True
            if self._came:
                self._raise()
            self._pause.wait(seconds)
        finally:
            self._waits = False
