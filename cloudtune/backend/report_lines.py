"""Reads the report file of a running attempt: each line once, as it appears."""

from __future__ import annotations

import errno
import json
import logging
import os
from typing import Any

from cloudtune.constants import MAX_REPORT_DEPTH
from cloudtune.report import depth

_log = logging.getLogger(__name__)

_CHUNK = 1 << 20


class ReportLines:
    """The reports of one attempt, read incrementally. No file descriptor is held between reads.

    A line that is no JSON object, or one so deep that the log could not hold it, is skipped and does not count; the
    first such line of a file is logged.

    Args:
        path: The file the Reporter appends to. It need not exist yet.
        skip: How many good lines were delivered before.
    """

    __slots__ = ("_offset", "_skip", "_warned", "number", "path")

    def __init__(self, path: str, skip: int = 0) -> None:
        self.path = path
        self.number = 0  # of the next good line
        self._skip = skip
        self._offset = 0
        self._warned = False

    def read_new(self, ended: bool = False) -> list[tuple[int, dict[str, Any]]]:
        """Good lines that were completed since the last call, each with its number.

        Args:
            ended: The attempt has ended: a last line without its newline is torn, and is told of.

        Raises:
            OSError: The file cannot be read. If only the tuner has too many files open, and the attempt has not ended,
                there is a warning instead, and the next call reads what this one could not.
        """
        try:
            data = self._read()
        except OSError as error:
            if ended or error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            _log.warning("%s; the reports in this file are read later", error)
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        reports = []
        for line in data[:end].split(b"\n"):
            if not line.strip():
                continue
            report = self._parse(line)
            if report is not None:
                if self.number >= self._skip:
                    reports.append((self.number, report))
                self.number += 1
        if ended and data[end:].strip():
            self._warn(data[end:])
        return reports

    def _read(self) -> bytes:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            data = os.pread(fd, _CHUNK, self._offset)
            if len(data) == _CHUNK:
                parts = [data]
                while part := os.pread(fd, _CHUNK, self._offset + sum(map(len, parts))):
                    parts.append(part)
                data = b"".join(parts)
        finally:
            os.close(fd)
        return data

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            report = None
        if not isinstance(report, dict) or (
            line.count(b"[") + line.count(b"{") > MAX_REPORT_DEPTH and depth(report) > MAX_REPORT_DEPTH + 1
        ):
            self._warn(line)
            return None
        return report

    def _warn(self, line: bytes) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: skipped a line that is not a report (%.80r); write to this file through the Reporter only",
                self.path,
                line,
            )
