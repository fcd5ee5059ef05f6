"""A copy, on this machine, of what counts of an event log in S3: the chain of its segments, in one temporary file."""

from __future__ import annotations

import errno
import tempfile
import threading
import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cloudtune.errors import StorageFull
from cloudtune.store.log import BLOCK_BYTES, parse_lines
from cloudtune.store.s3_segments import SEGMENT, LogKeys, Segment
from cloudtune.store.store import Entry

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Link(NamedTuple):
    """A segment that counts: what :class:`Segment` says, and where in the file it begins."""

    seq: int
    epoch: int
    nonce: str
    digest: str
    first: int
    entries: int
    start: int
    size: int


class Chain:
    """Segments are fed to it in the order of their numbers. One thread feeds; any number may read meanwhile.

    The file has no name: however the process ends, it leaves nothing behind.

    Args:
        keys: Names of the objects, for messages.
        scratch: Folder for the file; by default the system's.
    """

    def __init__(self, keys: LogKeys, scratch: Path | None = None) -> None:
        self._keys = keys
        self._folder = scratch or Path(tempfile.gettempdir())
        # Unbuffered, so that a write has failed or has happened; not os.pread, which some systems have not.
        self._file = tempfile.TemporaryFile(buffering=0, prefix="cloudtune-log-", dir=scratch)  # noqa: SIM115 - see close
        self._close = weakref.finalize(self, self._file.close)
        self._position = threading.Lock()
        self._links: list[Link] = []
        self._lock = threading.Lock()
        #: Number of the last segment that was fed, whether it counts or not.
        self.highest = 0
        #: Highest epoch of any segment that could be read.
        self.highest_epoch = 0
        #: Least number of entries that were left when it went back behind something that had counted; None: never.
        self.rewound_to: int | None = None
        self._losses: dict[int, str] = {}

    def close(self) -> None:
        """Deletes the file. It is deleted as well when nobody holds the chain any more."""
        self._close()

    # ------------------------------------------------------------------ feeding

    def feed(self, segment: Segment) -> None:
        """Takes in the next segment. It need not count.

        Raises:
            StorageFull: There is no room for it on this machine; nothing has changed.
        """
        kept = self._continued_by(segment)
        if kept is not None:
            end = self._links[kept - 1].start + self._links[kept - 1].size if kept else 0
            self._write(segment.data, end)
        self._passed_over(segment.seq)
        self.highest = segment.seq
        self.highest_epoch = max(self.highest_epoch, segment.epoch)
        if kept is None:
            self._losses[segment.seq] = "continues what is lost"
            return
        with self._lock:
            if kept < len(self._links):
                self._go_back(kept)
            self._links.append(
                Link(
                    segment.seq,
                    segment.epoch,
                    segment.nonce,
                    segment.digest,
                    segment.first,
                    segment.entries,
                    end,
                    len(segment.data),
                )
            )

    def feed_damage(self, seq: int, how: str) -> None:
        """Takes in that the next segment is of no use; ``how`` follows its name in the message."""
        self._passed_over(seq)
        self.highest = seq
        self._losses[seq] = how

    def _passed_over(self, seq: int) -> None:
        for missing in range(self.highest + 1, seq):
            self._losses[missing] = "is missing"

    def _continued_by(self, segment: Segment) -> int | None:
        """How many links are kept when the segment is linked to them; None if it does not count.

        Whoever begins an epoch may go back behind segments that it could not read. Within an epoch nobody goes back.
        """
        links = self._links
        if segment.counts == 0:
            kept = 0
        else:
            kept = bisect_left(links, (segment.counts,)) + 1
            if kept > len(links) or links[kept - 1].seq != segment.counts:
                return None
            before = links[kept - 1]
            if before.digest != segment.after:
                if segment.epoch >= before.epoch:
                    # Its writer knew what it continued: what stands there now is something else.
                    self._losses[before.seq] = "is not what was written"
                    with self._lock:
                        self._go_back(kept - 1)
                return None
            if segment.first != before.first + before.entries:
                return None
        tip = links[-1] if links else None
        continues = tip is not None and kept == len(links) and (tip.epoch, tip.nonce) == (segment.epoch, segment.nonce)
        return kept if continues or segment.epoch > (tip.epoch if tip else 0) else None

    def _go_back(self, kept: int) -> None:
        del self._links[kept:]
        left = self._length_locked()
        self.rewound_to = left if self.rewound_to is None else min(left, self.rewound_to)

    def _write(self, data: bytes, start: int) -> None:
        try:
            view = memoryview(data)
            with self._position:
                self._file.seek(start)
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise StorageFull(
                f"there is no room left in {self._folder} for a copy of the event log: free some space, or set TMPDIR "
                "to a folder that has room, and run the same command again; everything received before is kept"
            ) from error

    # ------------------------------------------------------------------ reading

    def links(self, first: int, last: int) -> list[Link]:
        """The segments that count of those with numbers from ``first`` to ``last``."""
        with self._lock:
            return self._links[bisect_left(self._links, (first,)) : bisect_left(self._links, (last + 1,))]

    @property
    def tip(self) -> Link | None:
        """The last segment that counts."""
        with self._lock:
            return self._links[-1] if self._links else None

    def length(self) -> int:
        """Number of entries."""
        tip = self.tip
        return tip.first + tip.entries if tip else 0

    @property
    def damage(self) -> str | None:
        """What of the log is lost, in a sentence; None if nothing is."""
        if not self._losses:
            return None
        first = min(self._losses)
        rest = len(self._losses) - 1
        tip = self.tip
        others = f" It and {rest} more segments do not count." if rest else " It does not count."
        went_on = (
            " A later tuner has gone on from what comes before."
            if tip is not None and tip.seq > first
            else " What comes before is used."
        )
        return f"{self._keys.segment(first)} {self._losses[first]}: entries of the event log are lost.{others}{went_on}"

    def segment(self, link: Link) -> bytes:
        """All bytes of a segment."""
        return self._read(link.start, link.size)

    def _read(self, start: int, size: int) -> bytes:
        with self._position:
            self._file.seek(start)
            return self._file.read(size)

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[list[Entry]]:
        """Yields entries from number ``start`` on, as they stand when this is called, in lists of some thousands.

        Args:
            start: Number of the first entry.
            end: Number of the entry to stop before; by default all.
        """
        with self._lock:
            links = self._links
            stop = min(end, links[-1].first + links[-1].entries) if end is not None and links else self._length_locked()
            if start >= stop:
                return iter(())
            index = bisect_right(links, start, key=lambda link: link.first) - 1
            last = links[-1]
            return self._blocks(links[index].start, last.start + last.size, start - links[index].first, stop - start)

    def _length_locked(self) -> int:
        return self._links[-1].first + self._links[-1].entries if self._links else 0

    def _blocks(self, position: int, end: int, skip: int, left: int) -> Iterator[list[Entry]]:
        line, rest = 1, b""
        while position < end and left > 0:
            block = self._read(position, min(BLOCK_BYTES, end - position))
            if not block:
                return
            position += len(block)
            complete, newline, tail = block.rpartition(b"\n")
            if not newline:
                rest += tail
                continue
            lines, rest = rest + complete, tail
            parsed = parse_lines(self._keys.log, lines, line)
            line += len(parsed)
            entries = [entry for entry in parsed if entry["event"] != SEGMENT]
            dropped = min(skip, len(entries))
            skip -= dropped
            entries = entries[dropped : dropped + left]
            left -= len(entries)
            if entries:
                yield entries
