"""A program in a pseudo terminal, and what a person then sees on the screen."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: A control sequence, a control character, or text.
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b(.)|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """A terminal so high that it never scrolls; it knows what a live display and a log need.

    Attributes:
        lines: What is on the screen now, without blanks at the ends of lines.
        cursor_hidden: Whether a program has left the cursor hidden.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        self.cursor_hidden = False

    @property
    def lines(self) -> list[str]:
        return ["".join(line).rstrip() for line in self._lines]

    def write(self, text: str) -> None:
        for arguments, command, escape, control, plain in _TOKEN.findall(text):
            assert not escape, f"unknown escape {escape!r}"
            if control == "\r":
                self._column = 0
            elif control == "\n":
                self._down()
            elif command:
                self._command(arguments, command)
            for character in plain:
                self._put(character)

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])

    def _put(self, character: str) -> None:
        if self._column == self.width:
            self._column = 0
            self._down()
        line = self._lines[self._row]
        line.extend(" " * (self._column + 1 - len(line)))
        line[self._column] = character
        self._column += 1

    def _command(self, arguments: str, command: str) -> None:
        if command == "A":
            self._row = max(0, self._row - int(arguments or 1))
        elif (arguments, command) == ("2", "K"):
            self._lines[self._row] = []
        elif arguments == "?25":
            self.cursor_hidden = command == "l"
        else:
            assert command == "m", f"unknown control sequence {arguments}{command}"


def run_in_terminal(
    program: str,
    folder: Path,
    watch: Callable[[Screen], str] | None = None,
    width: int = 100,
    term: str = "xterm",
) -> tuple[int, Screen]:
    """Runs a Python program whose input, output and errors are a terminal; returns its exit code and the screen.

    Args:
        program: Its source.
        folder: Where it is written to.
        watch: Called after everything that arrives, with the screen as it is then; answers the keys to press.
        width: Columns of the terminal.
        term: What kind of terminal the program believes it has.
    """
    path = folder / "program.py"
    # The terminal becomes the one that sends the program a signal for Ctrl-C.
    path.write_text(
        "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n{program}"
    )
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": term},
        start_new_session=True,
    )
    os.close(theirs)
    screen = Screen(width)
    received = b""
    while True:
        try:
            received += os.read(ours, 65536)
        except OSError:  # the last process with the terminal has ended
            break
        # A sequence or a character may be torn between two reads.
        whole = max(received.rfind(b"\n"), received.rfind(b"m"), received.rfind(b"l"), received.rfind(b"h")) + 1
        screen.write(received[:whole].decode())
        received = received[whole:]
        if watch is not None:
            os.write(ours, watch(screen).encode())
    screen.write(received.decode())
    os.close(ours)
    return process.wait(timeout=60), screen
