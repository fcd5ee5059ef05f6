"""Where log lines go while an experiment runs: somewhere, if nobody has said where, and never into the live display."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # which Python 3.10 does not let itself be asked for with a type

_LIBRARY = "cloudtune"


class PlainHandler(_StreamHandler):
    """What :func:`log_shown` adds: messages alone, to standard error."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setLevel(logging.INFO)
        self.setFormatter(logging.Formatter("%(message)s"))


@contextmanager
def log_shown() -> Iterator[None]:
    """Sends the library's log to standard error while it is entered, where logging is not configured.

    Nothing is changed if the logger ``cloudtune`` or the root logger has a handler (a ``NullHandler`` will do).
    """
    library, root = logging.getLogger(_LIBRARY), logging.getLogger()
    if library.handlers or root.handlers or sys.stderr is None:
        yield
        return
    handler, level = PlainHandler(), library.level
    library.addHandler(handler)
    # A level that somebody has chosen stays; WARNING is what the root logger is born with.
    if level == logging.NOTSET and root.level == logging.WARNING:
        library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.setLevel(level)
        library.removeHandler(handler)


@contextmanager
def log_above(console: Console, wanted: Callable[[logging.Handler, logging.LogRecord], bool]) -> Iterator[None]:
    """Prints above the console's live display what handlers write to a terminal while this is entered.

    A handler keeps the stream it was made with, so that replacing ``sys.stderr`` does not reach it.

    Args:
        console: The console with the live display.
        wanted: Says of a handler for the terminal and a record whether it is to be shown.
    """
    changed = [_Redirected(handler, console, wanted) for handler in _terminal_handlers()]
    try:
        yield
    finally:
        for redirected in changed:
            redirected.restore()


def _terminal_handlers() -> list[logging.StreamHandler[TextIO]]:
    named = [logger for logger in list(logging.root.manager.loggerDict.values()) if isinstance(logger, logging.Logger)]
    handlers = dict.fromkeys(handler for logger in (logging.root, *named) for handler in logger.handlers)
    return [handler for handler in handlers if isinstance(handler, logging.StreamHandler) and _on_terminal(handler)]


def _on_terminal(handler: logging.StreamHandler[TextIO]) -> bool:
    if "stream" not in vars(handler):  # as logging.lastResort, which looks up sys.stderr each time
        return False
    isatty = getattr(handler.stream, "isatty", None)
    try:
        return isatty is not None and bool(isatty())
    except ValueError:  # a closed stream
        return False


class _Redirected:
    """A handler whose stream is replaced until :meth:`restore`."""

    def __init__(
        self,
        handler: logging.StreamHandler[TextIO],
        console: Console,
        wanted: Callable[[logging.Handler, logging.LogRecord], bool],
    ) -> None:
        self._handler = handler
        self._stream = handler.stream
        self._above = _AboveDisplay(console)
        self._filter = lambda record: wanted(handler, record)
        handler.addFilter(self._filter)
        handler.setStream(cast("TextIO", self._above))

    def restore(self) -> None:
        self._handler.removeFilter(self._filter)
        # Somebody may have given the handler another stream in between; that one stays.
        if cast("object", self._handler.stream) is self._above:
            self._handler.setStream(self._stream)
        self._above.close()


class _AboveDisplay(io.TextIOBase):
    """A stream whose lines a console prints above its live display."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._unfinished = ""

    def write(self, text: str) -> int:
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        if lines:
            self._print("\n".join(lines))
        return len(text)

    def isatty(self) -> bool:
        return True

    def close(self) -> None:
        if self._unfinished and not self.closed:
            self._print(self._unfinished)
            self._unfinished = ""
        super().close()

    def _print(self, lines: str) -> None:
        from rich.text import Text

        # soft_wrap: a long line is left to the terminal, so that a path in it can still be copied.
        self._console.print(Text.from_ansi(lines), soft_wrap=True)
