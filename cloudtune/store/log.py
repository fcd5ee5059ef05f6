"""Reading an event log that lies in a local folder, while or after it is written.

The log is a folder of segments ``000001.jsonl``, ``000002.jsonl``, ..., one for each epoch, that is, for each tuner
that drove the experiment. A segment holds one JSON object per line. Its first line is the ``epoch`` entry, which also
says what of the segment before it counts::

    {"event": "epoch", "epoch": 2, ..., "previous": {"segment": 1, "bytes": 5120, "entries": 31}}

So whatever an earlier owner writes after it was fenced is never read. In the last segment every line counts that is
complete: a line torn by a crash in the middle of a write does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtune import __version__
from cloudtune.errors import DamagedLog, NewerFormat
from cloudtune.store.entries import LOG_FORMAT
from cloudtune.store.store import Entry

_SEGMENT_NAME = re.compile(r"(\d{6,})\.jsonl")
#: So much is read at once.
BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Segment:
    """What counts of one file of the log.

    Args:
        number: Of the epoch, from 1.
        path: The file.
        first: Number, over the whole log, of its first entry.
        size: How many bytes of it count.
        entries: How many lines these are; None if nobody has counted them yet.
    """

    number: int
    path: Path
    first: int
    size: int
    entries: int | None


def segment_path(folder: Path, number: int) -> Path:
    """The file of epoch ``number`` in the log's folder."""
    return folder / f"{number:06d}.jsonl"


def is_experiment(path: Path) -> bool:
    """True if the folder ``path`` holds the log of an experiment."""
    return segment_path(path / "log", 1).is_file()


class LogView:
    """The entries of a log as they stand at one instant: what is appended later is not seen.

    Args:
        folder: The folder of segments. It may be empty or absent.

    Raises:
        NewerFormat: The log was written by a newer cloudtune.
        DamagedLog: The segments do not fit together.
    """

    def __init__(self, folder: Path) -> None:
        numbers = _segment_numbers(folder)
        headers = [_read_header(segment_path(folder, number)) for number in numbers]
        self.segments: list[Segment] = []
        first = 0
        for index, number in enumerate(numbers):
            path = segment_path(folder, number)
            if index + 1 < len(numbers):
                previous = _counted_before(headers[index + 1], segment_path(folder, numbers[index + 1]), number)
                segment = Segment(number, path, first, previous["bytes"], previous["entries"])
                first += previous["entries"]
            else:
                segment = Segment(number, path, first, complete_bytes(path), None)
            self.segments.append(segment)

    def length(self) -> int:
        """Number of entries."""
        if not self.segments:
            return 0
        last = self.segments[-1]
        return last.first + count_entries(last)

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yields the entries from number ``start`` on.

        Raises:
            DamagedLog: A line in the middle of the log is not what was written.
        """
        for block in self.blocks(start):
            yield from block

    def blocks(self, start: int = 0) -> Iterator[list[Entry]]:
        """Yields the entries from number ``start`` on in lists of some thousands: much faster for a long log.

        Raises:
            DamagedLog: A line in the middle of the log is not what was written.
        """
        for segment in self.segments:
            if segment.entries is None or segment.first + segment.entries > start:
                yield from _segment_blocks(segment, max(0, start - segment.first))

    def last_entry(self) -> Entry | None:
        """The newest entry, or None if there is none. Reads only the end of the log.

        Raises:
            DamagedLog: It is not what was written.
        """
        if not self.segments:
            return None
        last = self.segments[-1]
        with last.path.open("rb") as file:
            start = _line_start(file, last.size - 1)
            file.seek(start)
            line = file.read(last.size - start)
        entry = _parse_line(line)
        if entry is None:
            raise _damaged(last.path, "its last line")
        return entry


def complete_bytes(path: Path) -> int:
    """How many bytes of a segment that is, or was, being written are complete lines."""
    with path.open("rb") as file:
        end = _line_start(file, file.seek(0, 2))
        start = _line_start(file, end - 1)
        file.seek(start)
        # A whole last line that is no JSON is what a power failure can leave of one.
        return end if _parse_line(file.read(end - start)) is not None else start


def count_entries(segment: Segment) -> int:
    """Number of lines that count."""
    if segment.entries is not None:
        return segment.entries
    count, left = 0, segment.size
    with segment.path.open("rb") as file:
        while left > 0:
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                break
            count += block.count(b"\n")
            left -= len(block)
    return count


def _segment_numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    matches = (_SEGMENT_NAME.fullmatch(path.name) for path in folder.iterdir())
    numbers = sorted(int(match[1]) for match in matches if match)
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            raise DamagedLog(
                f"{segment_path(folder, expected)} is missing, but a later part of the log is there: restore the file "
                "from a backup"
            )
    return numbers


def _read_header(path: Path) -> Entry:
    with path.open("rb") as file:
        header = _parse_line(file.readline())
    if header is None or not isinstance(header.get("format"), int):
        raise _damaged(path, "line 1")
    if header["format"] > LOG_FORMAT:
        raise NewerFormat(
            f"{path.parent.parent} was written by cloudtune {header.get('version')} (log format {header['format']}), "
            f"and this is cloudtune {__version__} (log format {LOG_FORMAT}): upgrade with "
            "`pip install --upgrade cloudtune`"
        )
    return header


def _counted_before(header: Entry, path: Path, number: int) -> dict[str, int]:
    previous = header.get("previous")
    if (
        not isinstance(previous, dict)
        or previous.get("segment") != number
        or not isinstance(previous.get("bytes"), int)
        or not isinstance(previous.get("entries"), int)
    ):
        raise _damaged(path, "line 1")
    return previous


def _segment_blocks(segment: Segment, skip: int) -> Iterator[list[Entry]]:
    """Yields the entries of one segment but for the first ``skip``."""
    line, left, rest = 1, segment.size, b""
    with segment.path.open("rb") as file:
        while left > 0:
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                break
            left -= len(block)
            complete, newline, tail = block.rpartition(b"\n")
            if not newline:
                rest += tail
                continue
            lines, rest = rest + complete, tail
            count = lines.count(b"\n") + 1
            if skip >= count:
                skip -= count
            else:
                yield parse_lines(segment.path, lines, line)[skip:]
                skip = 0
            line += count
    # Only the last segment may be shorter than it was: its writer takes back what did not fit on the disk.
    if (rest or left) and segment.entries is not None:
        raise _damaged(segment.path, f"line {line}")


def parse_lines(path: Path | str, lines: bytes, first_line: int) -> list[Entry]:
    """Decodes many lines at once: three times as fast as one by one.

    Args:
        path: What the lines were read from, for messages.
        lines: Without the newline at their end.
        first_line: Number of the first of them, for messages.

    Raises:
        DamagedLog: A line is not what was written.
    """
    count = lines.count(b"\n") + 1
    try:
        entries: list[Any] = json.loads(b"[%b]" % lines.replace(b"\n", b","))
    except ValueError:
        entries = []
    if len(entries) == count and set(map(type, entries)) == {dict}:
        return entries
    for number, line in enumerate(lines.split(b"\n"), start=first_line):
        if _parse_line(line) is None:
            raise _damaged(path, f"line {number}")
    raise _damaged(path, f"one of the lines {first_line} to {first_line + count - 1}")


def _parse_line(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _line_start(file: Any, end: int) -> int:
    """Position after the last newline that lies before ``end``, or 0."""
    position = end
    while position > 0:
        step = min(position, 1 << 14)
        position -= step
        file.seek(position)
        index = file.read(step).rfind(b"\n")
        if index >= 0:
            return int(position + index + 1)
    return 0


def _damaged(path: Path | str, where: str) -> DamagedLog:
    return DamagedLog(
        f"the event log is damaged: {path}, {where}, is not what was written; restore the file from a backup, or keep "
        "what comes before by cutting the file off there and deleting the later files of that folder"
    )
