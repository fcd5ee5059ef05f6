"""Reading an event log that lies in S3, while or after it is written.

What was packed is read from packed objects, the rest segment by segment, many at once. What is damaged does not end the
reading: everything that comes before it counts (see :mod:`cloudtune.store.s3_segments`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudtune.aws.s3 import Bucket
from cloudtune.store.s3_chain import Chain
from cloudtune.store.s3_segments import LogKeys, NotWhatWasWritten, Segment, read_pack, read_segment
from cloudtune.store.store import Entry

logger = logging.getLogger(__name__)

#: So much is read from S3 at once: this many objects, or about this many bytes.
_WINDOW_OBJECTS = 512
_WINDOW_BYTES = 8 << 20
#: What seems damaged is read again so often: it may have been damaged on its way.
_READ_AGAIN = 2


@dataclass(frozen=True)
class _Source:
    """An object to read: one segment, or a packed object with many."""

    first: int
    last: int
    key: str
    size: int
    packed: bool


class LogReader:
    """Reads a log from S3 into a chain: all of it the first time, then what is new.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.
        scratch: Folder for temporary files; by default the system's.
    """

    def __init__(self, bucket: Bucket, root: str, scratch: Path | None = None) -> None:
        self._bucket = bucket
        self.keys = LogKeys(root)
        self.chain = Chain(self.keys, scratch)
        #: First and last segment of each packed object that was listed.
        self.packs: set[tuple[int, int]] = set()
        self._begun = False
        self._warned = False

    def read_on(self) -> None:
        """Reads what is new. Every call asks for one listing; the first one for two.

        Raises:
            NewerFormat: The log was written by a newer cloudtune.
            AwsError: S3 cannot be read.
        """
        sources: list[_Source] = []
        known = self.chain.highest
        if not self._begun:
            sources = self._packed_sources()
            # Up to the first segment that is in none of them.
            for source in sources:
                known = source.last if source.first == known + 1 else known
        in_packs = {seq for source in sources for seq in range(source.first, source.last + 1) if seq > known}
        for listed in self._bucket.list(self.keys.log, self.keys.segment(known) if known else ""):
            seq = self.keys.seq_of(listed.key)
            if seq is not None and seq > known and seq not in in_packs:
                sources.append(_Source(seq, seq, listed.key, listed.size, packed=False))
        sources.sort(key=lambda source: source.first)
        for window in _windows(sources):
            self._read(window)
        self._begun = True
        if self.chain.damage and not self._warned:
            self._warned = True
            logger.warning("the event log is damaged: s3://%s/%s", self._bucket.name, self.chain.damage)

    def _packed_sources(self) -> list[_Source]:
        """The packed objects that are of use, without those whose segments others have as well."""
        found: list[_Source] = []
        for listed in self._bucket.list(self.keys.packed):
            ends = self.keys.range_of(listed.key)
            if ends is not None:
                self.packs.add(ends)
                found.append(_Source(*ends, listed.key, listed.size, packed=True))
        found.sort(key=lambda source: (source.first, -source.last))
        chosen: list[_Source] = []
        for source in found:
            if not chosen or source.first > chosen[-1].last:
                chosen.append(source)
        return chosen

    def _read(self, window: list[_Source]) -> None:
        got = self._bucket.get_many([source.key for source in window])
        for source in window:
            body = got[source.key].body if source.key in got else None
            if source.packed:
                self._unpack(source, body)
            else:
                self._take(source.first, body)

    def _unpack(self, source: _Source, body: bytes | None) -> None:
        """Takes in the segments of a packed object; where it is of no use, the segments themselves."""
        try:
            if body is None:
                raise NotWhatWasWritten("is gone")
            segments = read_pack(source.first, source.last, body, self._bucket.uri(source.key))
        except NotWhatWasWritten as error:
            logger.debug("%s %s: its segments are read instead", self._bucket.uri(source.key), error)
            numbers = range(source.first, source.last + 1)
            for start in range(0, len(numbers), _WINDOW_OBJECTS):
                part = numbers[start : start + _WINDOW_OBJECTS]
                got = self._bucket.get_many([self.keys.segment(seq) for seq in part])
                for seq in part:
                    key = self.keys.segment(seq)
                    if key in got:
                        self._take(seq, got[key].body)
        else:
            for seq, data in enumerate(segments, start=source.first):
                self._take(seq, data)

    def _take(self, seq: int, body: bytes | None) -> None:
        if seq <= self.chain.highest:
            return
        how = ""
        for again in range(_READ_AGAIN + 1):
            if body is None:
                how = "is missing"
            else:
                try:
                    segment = self._segment(seq, body)
                except NotWhatWasWritten as error:
                    how = str(error)
                else:
                    self.chain.feed(segment)
                    return
            if again < _READ_AGAIN:
                got = self._bucket.get(self.keys.segment(seq))
                body = None if got is None else got.body
        self.chain.feed_damage(seq, how)

    def _segment(self, seq: int, body: bytes) -> Segment:
        return read_segment(seq, body, self._bucket.uri(self.keys.segment(seq)))


def _windows(sources: list[_Source]) -> Iterator[list[_Source]]:
    """Parts that fit into memory beside each other."""
    window: list[_Source] = []
    size = 0
    for source in sources:
        if window and (len(window) >= _WINDOW_OBJECTS or size + source.size > _WINDOW_BYTES):
            yield window
            window, size = [], 0
        window.append(source)
        size += source.size
    if window:
        yield window


class S3LogView:
    """The entries of a log as they stand at one instant: what is appended later is not seen.

    All of it is read when the view is made, into a temporary file, which goes with the view.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment. There need not be a log.
        scratch: Folder for the temporary file; by default the system's.

    Raises:
        NewerFormat: The log was written by a newer cloudtune.
        AwsError: S3 cannot be read.
        StorageFull: There is no room for the temporary file.
    """

    def __init__(self, bucket: Bucket, root: str, scratch: Path | None = None) -> None:
        reader = LogReader(bucket, root, scratch)
        reader.read_on()
        self._chain = reader.chain
        #: What of the log is lost, in a sentence; None if nothing is.
        self.damage: str | None = self._chain.damage
        #: Number of the last segment there was, from 1; 0: there was none.
        self.last_segment = self._chain.highest

    def length(self) -> int:
        """Number of entries."""
        return self._chain.length()

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yields the entries from number ``start`` on."""
        for block in self.blocks(start):
            yield from block

    def blocks(self, start: int = 0) -> Iterator[list[Entry]]:
        """Yields the entries from number ``start`` on in lists of some thousands: much faster for a long log."""
        return self._chain.blocks(start)

    def last_entry(self) -> Entry | None:
        """The newest entry, or None if there is none."""
        length = self.length()
        return next(self.entries(length - 1)) if length else None


class S3LogFollower:
    """Follows a log that is being written, for a display.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment. The log need not have begun.
        scratch: Folder for temporary files; by default the system's.
    """

    def __init__(self, bucket: Bucket, root: str, scratch: Path | None = None) -> None:
        self._reader = LogReader(bucket, root, scratch)
        self._told = 0
        #: How often the log went back behind entries that were told: a tuner could not read them and went on without
        #: them. Who shows them has to begin anew, with a new follower.
        self.rewinds = 0

    @property
    def damage(self) -> str | None:
        """What of the log is lost, in a sentence; None if nothing is."""
        return self._reader.chain.damage

    def new_blocks(self) -> Iterator[list[Entry]]:
        """What is new since the last call: one listing, and the new segments read in parallel.

        Raises:
            NewerFormat: The log is written by a newer cloudtune.
            AwsError: S3 cannot be read; the next call tells what this one would have told.
        """
        chain = self._reader.chain
        self._reader.read_on()
        if chain.rewound_to is not None:
            self.rewinds += chain.rewound_to < self._told
            self._told = min(self._told, chain.rewound_to)
            chain.rewound_to = None
        told, self._told = self._told, chain.length()
        return chain.blocks(told)


def log_exists(bucket: Bucket, root: str) -> bool:
    """Whether an event log lies below the prefix: one request."""
    return bucket.exists(LogKeys(root).segment(1))


def newest_segment(bucket: Bucket, root: str, known: int = 0) -> int:
    """Number of the last segment of a log: a single listing. What lies there need not be readable.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.
        known: A segment that is there, see :class:`S3LogView`; 0: none is known, and without any the answer is 0.

    Raises:
        AwsError: S3 cannot be read.
    """
    keys = LogKeys(root)
    after = bucket.list(keys.log, keys.segment(known) if known else "")
    return max([known, *(seq for listed in after if (seq := keys.seq_of(listed.key)) is not None)])


def newest_entry(bucket: Bucket, root: str) -> Entry | None:
    """The newest entry of a log, or None where there is none: two listings and one object, however long the log is.

    It trusts the last segment that can be read, without asking what it continues. To be sure make an
    :class:`S3LogView`.

    Raises:
        NewerFormat: The log was written by a newer cloudtune.
        AwsError: S3 cannot be read.
    """
    keys = LogKeys(root)
    packed = [ends for listed in bucket.list(keys.packed) if (ends := keys.range_of(listed.key)) is not None]
    known = max((last for _, last in packed), default=0)
    # What was packed is a segment too: the last one is found there if nothing has come since.
    after = bucket.list(keys.log, keys.segment(known - 1) if known > 1 else "")
    for listed in reversed(after):
        seq = keys.seq_of(listed.key)
        got = None if seq is None else bucket.get(listed.key)
        if seq is None or got is None:
            continue
        try:
            segment = read_segment(seq, got.body, bucket.uri(listed.key))
        except NotWhatWasWritten as error:
            logger.debug("%s %s", bucket.uri(listed.key), error)
            continue
        entry: Entry = json.loads(segment.data.rstrip(b"\n").rpartition(b"\n")[2])
        return entry
    return None
