"""The table of results in the making: its rows are made as entries are logged, so that the log need not be read again.

Reading a report back from the log takes several times as long as making its row, and a table is written many times
while an experiment runs.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO

from cloudtune.store.encoding import Cells
from cloudtune.store.entries import SUGGEST
from cloudtune.store.results import table_file, write_results, write_rows
from cloudtune.store.results_rows import Blocks, Columns, ResultRows, is_result
from cloudtune.store.store import Entry

logger = logging.getLogger(__name__)

#: So many rows are kept in memory, at about 100 bytes each.
_KEPT = 4096
#: So many of the first entries are kept, among which most columns turn up: a log is read in blocks of far more.
_EARLY = 64
_PIECE = 1 << 20


class ResultsDraft:
    """All rows of a log that is written from its beginning by this process.

    They lie in a file without a name, which ends with this process. A column that turns up late (which is rare, and
    happens early if at all) belongs into rows that were made already: those are forgotten, and read from the log
    whenever the table is written; all are where the file has no room. One thread adds, another may write.

    Args:
        folder: On whose file system the file lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._columns = Columns()
        self._rows = ResultRows(self._columns)
        self._configs: dict[int, dict[str, Any]] = {}
        #: Entries that were added, and those before the first whose row is kept.
        self._length = 0
        self._begin = 0
        self._early: list[Entry] = []
        #: Rows that were made, and the newest of them.
        self._made = 0
        self._lines: list[str] = []
        #: The others that are kept, and where.
        self._file: IO[bytes] | None = None
        self._file_begin = self._file_end = 0
        self._has_room = True

    def add(self, entries: Sequence[Entry], cells: Sequence[Cells | None] = ()) -> int:
        """Takes in entries that were appended to the log; returns how many of them have a row.

        Args:
            entries: The entries.
            cells: See :meth:`ResultRows.make`.
        """
        if not self._has_room:
            return sum([is_result(entry) for entry in entries])
        with self._lock:
            before = self._made
            taken = 0
            while True:
                lines: list[str] = []
                rest = entries[taken:]
                done = self._rows.make(rest, lines, cells[taken:])
                for entry in rest[:done]:
                    if entry["event"] == SUGGEST:
                        self._configs[entry["trial"]] = entry["config"]
                self._lines += lines
                self._made += len(lines)
                taken += done
                if taken == len(entries):
                    break
                self._begin_again(entries[taken], self._length + taken)
            if self._length < _EARLY:
                self._early += entries[: _EARLY - self._length]
            self._length += taken
            if len(self._lines) >= _KEPT:
                self._put_down()
            return self._made - before

    def _begin_again(self, entry: Entry, number: int) -> None:
        """An entry has columns that no row has yet."""
        self._columns.learn([[entry]])
        self._rows = ResultRows(self._columns, self._configs)
        self._begin = number
        self._lines.clear()
        # What stands there may be read just now.
        self._file_begin = self._file_end

    def _put_down(self) -> None:
        data = _encoded(self._lines)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".results.", suffix=".tmp", buffering=0)  # noqa: SIM115
            written = self._file.write(data)
        except OSError as error:
            logger.debug("rows of results are read from the event log from now on: %s", error)
            written = 0
        if written == len(data):
            self._file_end += written
        else:
            self._has_room = False
        self._lines.clear()

    def write(self, read: Callable[[], Blocks], file: BinaryIO) -> int:
        """Writes the table as :func:`~cloudtune.store.results.write_results` does; returns the number of rows.

        Args:
            read: Yields the blocks of the log from its beginning.
            file: Where the archive goes.
        """
        with self._lock:
            columns, made, newest = self._columns.copy(), self._made, self._lines.copy()
            log_begin, begin, end = self._begin, self._file_begin, self._file_end
            usable, early = self._has_room, self._early[:log_begin]
        if not usable:
            return write_results(read, file, columns)
        with table_file(file) as text:
            known = len(early) == log_begin
            write_rows([early] if known else _first(read(), log_begin), text, columns)
            text.flush()
            for piece in self._pieces(begin, end):
                text.buffer.write(piece)
            text.buffer.write(_encoded(newest))
        return made

    def _pieces(self, begin: int, end: int) -> Iterator[bytes]:
        while begin < end:
            assert self._file is not None
            piece = os.pread(self._file.fileno(), min(_PIECE, end - begin), begin)
            if not piece:
                raise io.UnsupportedOperation("rows of results are gone from their file: something else has cut it off")
            begin += len(piece)
            yield piece

    def close(self) -> None:
        """Gives the file back."""
        if self._file is not None:
            self._file.close()


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(lines).encode("utf-8", "backslashreplace")


def _first(blocks: Blocks, count: int) -> Iterable[list[Entry]]:
    """The first entries of a log, in blocks."""
    for block in blocks:
        if count <= 0:
            return
        yield block[:count]
        count -= len(block)
