"""Reads the file that the Reporter appends to: each good line once, as soon as it is complete."""

from __future__ import annotations

import json
import os
import stat

from cloudtune.constants import MAX_REPORT_BYTES, MAX_REPORT_DEPTH
from cloudtune.report import depth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = 1 << 20
#: Bytes of one read at most: what a script gone wild writes does not fill the memory.
_MOST = 8 * _BLOCK


class ReportFile:
    """The reports of one run, read incrementally, as JSON texts. Lines that are no reports are skipped.

    Args:
        path: The file. It need not exist.
        note: Told of the first line that is no report.
    """

    def __init__(self, path: str, note: Callable[[str], None]) -> None:
        self.path = path
        self._note = note
        self._offset = 0
        self._noted = False
        self._overlong = False  # the rest of a line that was too long for a report is still to come

    def read_new(self) -> list[str]:
        """What was completed since the last call, at most some megabytes; empty if there is nothing more."""
        reports: list[str] = []
        taken = 0
        while taken < _MOST:
            data = self._read()
            end = data.rfind(b"\n") + 1
            if not end:
                if len(data) < _BLOCK:
                    break
                self._overlong = True  # a megabyte without a newline
                self._skip(data)
                end = len(data)
            else:
                reports += self._reports_in(data[:end])
            self._offset += end
            taken += end
            if len(data) < _BLOCK:
                break
        return reports

    def _read(self) -> bytes:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:  # not there yet, or the script has put something else in its place
            return b""
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return b""
            if status.st_size < self._offset:  # the script has emptied it
                self._offset = 0
            return os.pread(fd, _BLOCK, self._offset)
        finally:
            os.close(fd)

    def _reports_in(self, data: bytes) -> list[str]:
        lines = data.split(b"\n")
        if self._overlong:
            self._overlong = False
            lines = lines[1:]
        return [text for text in map(self._parse, filter(bytes.strip, lines)) if text is not None]

    def _parse(self, line: bytes) -> str | None:
        if len(line) <= MAX_REPORT_BYTES:
            try:
                text = line.decode("utf-8").strip()
                report = json.loads(text)
            except (ValueError, RecursionError):
                report = None
            if isinstance(report, dict) and (
                line.count(b"[") + line.count(b"{") <= MAX_REPORT_DEPTH or depth(report) <= MAX_REPORT_DEPTH + 1
            ):
                return text
        self._skip(line)
        return None

    def _skip(self, line: bytes) -> None:
        if not self._noted:
            self._noted = True
            self._note(
                f"{self.path}: skipped a line that is not a report ({line[:80]!r}); write to this file through the "
                "Reporter only"
            )
