"""What the user is told, compared with messages.txt: the one file in which all these messages are reviewed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

from tests.bad_input.place import Place

SNAPSHOT = Path(__file__).with_name("messages.txt")

#: Set to anything, it makes the tests write messages.txt instead of comparing with it.
REWRITE = "REWRITE_MESSAGES"

_HEAD = """\
# Everything cloudtune says to its users when something is wrong: for each case the exit code, and the lines on standard
# error but for the progress (INFO). Tracebacks are cut to their last line; <...> stands for what differs between runs.
# Written by    REWRITE_MESSAGES=1 pytest tests/bad_input    and then reviewed: every line should name the thing and
# the remedy, in plain words.
"""

_RECORD = re.compile(r"(INFO|WARNING|ERROR) |Error: |Usage: |\S+Error: |cloudtune\.|SIG|interrupted ")
#: An exception that is shown because another came of it.
_CAUSE = re.compile(r"(?m)^.*\n(?:The above exception was|During handling of).*\n")
_UNSTEADY: list[tuple[str, str]] = [
    (r"\bpid \d+", "pid <pid>"),
    (r"this is cloudtune \S+", "this is cloudtune <version>"),
    (r"on host \S+ \(user \S+\)", "on host <host> (user <user>)"),
    (r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "since <time>"),
    (r"(?m)(?:SyntaxError|ValueError: source code).*?(?=; see |$)", "<what Python says>"),
    (r"(?m)^Try '.*\n", ""),
]


def check(row: str, done: subprocess.CompletedProcess[str], place: Place) -> None:
    """Compares what a command said with the snapshot, or rewrites the snapshot's part about it."""
    found = f"exit code {done.returncode}\n{_visible(done.stderr, place)}".strip()
    if os.environ.get(REWRITE):
        _write({**read(), row: found})
    wanted = read().get(row, "nothing")
    assert found == wanted, f"{row}: it says\n{found}\nbut {SNAPSHOT.name} (see its head) has\n{wanted}"


def read() -> dict[str, str]:
    """The parts of the snapshot, by row."""
    if not SNAPSHOT.exists():
        return {}
    _, *parts = re.split(r"(?m)^== (.+) ==\n", SNAPSHOT.read_text(encoding="utf-8"))
    return {row: text.strip() for row, text in zip(parts[::2], parts[1::2], strict=True)}


def _write(parts: dict[str, str]) -> None:
    text = "\n".join(f"== {row} ==\n{parts[row]}\n" for row in sorted(parts))
    SNAPSHOT.write_text(f"{_HEAD}\n{text}", encoding="utf-8")


def _visible(stderr: str, place: Place) -> str:
    lines = []
    shown = True
    for line in stderr.splitlines():
        if _RECORD.match(line):
            shown = not line.startswith("INFO ")
        # Indented lines are those of a traceback, or of the source that Python points into.
        if shown and line.strip() and not line.startswith((" ", "Traceback (")):
            lines.append(line)
    text = (
        _CAUSE.sub("", "\n".join(lines)).replace(str(place.folder), "<folder>").replace(socket.gethostname(), "<host>")
    )
    for pattern, replacement in _UNSTEADY:
        text = re.sub(pattern, replacement, text)
    return text
