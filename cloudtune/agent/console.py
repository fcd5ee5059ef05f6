"""The container's standard output: the script's output is copied through, the agent's own lines stand between."""

from __future__ import annotations

import os
import queue
import threading
import time

from cloudtune.agent.log_lines import without_reports
from cloudtune.agent.protocol import LOG_NOTE

_BLOCK = 1 << 16
#: Of the script's output, kept for people who ask why it ended.
_TAIL_BYTES = 2048
_KEPT_BYTES = 16_384


class Console:
    """Writes to the container's standard output and standard error.

    Lines of the agent are written by a thread of their own: where nobody reads the output, the agent goes on.

    Args:
        out: Descriptor of standard output.
    """

    def __init__(self, out: int = 1) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._tail = b""
        self._mid_line = False
        self._copiers: list[threading.Thread] = []
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        threading.Thread(target=self._write_lines, name="console", daemon=True).start()

    def line(self, text: str) -> None:
        """Writes a line, whole: at the beginning of a line, and with one write."""
        self._lines.put((text + "\n").encode("utf-8", "replace"))

    def note(self, text: str) -> None:
        """Tells people something."""
        self.line(LOG_NOTE + text)

    def flush(self, timeout: float) -> bool:
        """Whether all lines before were written within ``timeout`` seconds."""
        written = threading.Event()
        self._lines.put(written)
        return written.wait(max(timeout, 0.0))

    def copy(self, source: int, target: int) -> None:
        """Copies from a descriptor, which is closed at its end, in a thread."""
        copier = threading.Thread(target=self._copy, args=(source, target), name="output", daemon=True)
        self._copiers.append(copier)
        copier.start()

    def drain(self, timeout: float) -> None:
        """Waits until all that was to be copied is copied, at most ``timeout`` seconds."""
        until = time.monotonic() + timeout
        for copier in self._copiers:
            copier.join(max(0.0, until - time.monotonic()))
        self._copiers = [copier for copier in self._copiers if copier.is_alive()]

    def forget_tail(self) -> None:
        """What follows is another program's output."""
        self._tail = b""

    def tail(self) -> str:
        """The last lines that were copied, at most 2 kB; without reports, which are known."""
        kept = self._tail
        lines = kept.decode("utf-8", "replace").rstrip().splitlines()
        if len(kept) == _KEPT_BYTES and len(lines) > 1:
            lines = lines[1:]  # its beginning was cut off
        lines = without_reports("\n".join(lines)).splitlines()
        size, first = 0, len(lines)
        while first and size <= _TAIL_BYTES:
            first -= 1
            size += len(lines[first].encode()) + 1
        if size > _TAIL_BYTES and first < len(lines) - 1:
            first += 1
        text = "\n".join(lines[first:])
        return text.encode()[-_TAIL_BYTES:].decode("utf-8", "ignore")

    def _copy(self, source: int, target: int) -> None:
        try:
            while True:
                data = os.read(source, _BLOCK)
                if not data:
                    return
                with self._lock:
                    self._tail = (self._tail + data)[-_KEPT_BYTES:]
                    _write(target, data)
                    self._mid_line = not data.endswith(b"\n")
        finally:
            os.close(source)

    def _write_lines(self) -> None:
        while True:
            item = self._lines.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            with self._lock:
                _write(self._out, b"\n" + item if self._mid_line else item)
                self._mid_line = False


def _write(target: int, data: bytes) -> None:
    """Writes all of it; where the output is gone, nothing: the script must not hang for want of a reader."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:  # somebody has made the description non-blocking
            threading.Event().wait(0.01)
        except OSError:
            return
