"""From the bytes that a container writes to the lines of its log."""

from __future__ import annotations

from collections.abc import Iterator

#: CloudWatch's limit of an event for most of its life (256 KB); longer lines become several.
MAX_LINE_BYTES = 262_144


class OutputLines:
    """Splits a stream of bytes into lines.

    A carriage return begins the line anew, as on a terminal: of a progress bar the last state stays. Empty lines are
    left out, since CloudWatch has none. What is no UTF-8 is replaced. Memory is bounded by the longest line that is
    kept whole (``MAX_LINE_BYTES``).
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that end within ``data``."""
        *whole, rest = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        for line in whole:
            yield from _pieces(line)
        if b"\r" in rest:
            # What a later carriage return overwrites is never shown; the last state is, if the next is not there yet.
            kept = rest.rstrip(b"\r")
            rest = rest[kept.rfind(b"\r") + 1 :]
        while len(rest) > MAX_LINE_BYTES:
            cut = _cut(rest)
            yield from _pieces(rest[:cut])
            rest = rest[cut:]
        self._rest = rest

    def end(self) -> Iterator[str]:
        """The line that was not ended."""
        rest, self._rest = self._rest, b""
        yield from _pieces(rest)


def _pieces(line: bytes) -> Iterator[str]:
    if b"\r" in line:
        line = line.rstrip(b"\r")
        line = line[line.rfind(b"\r") + 1 :]
    while len(line) > MAX_LINE_BYTES:
        cut = _cut(line)
        yield line[:cut].decode("utf-8", "replace")
        line = line[cut:]
    if line:
        yield line.decode("utf-8", "replace")


def _cut(line: bytes) -> int:
    """Where a long line is cut, not inside of a character."""
    cut = MAX_LINE_BYTES
    for back in range(4):
        if line[cut - back] & 0xC0 != 0x80:
            return cut - back
    return cut
