"""The objects that an event log in S3 consists of: their names, and what they hold.

Below the prefix of an experiment lie::

    log/00000001.jsonl, log/00000002.jsonl, ...     segments, without a hole; never deleted, never overwritten
    packed/00000001-00000200.jsonl, ...             the same segments, many in one object: only to be read faster

A segment holds one JSON object per line: its header, then entries. The header says which segment it continues
(``counts``, and with ``after`` what that one was, byte for byte), so that what counts of a log is a chain. An owner's
first segment begins with its ``epoch`` entry. Usually it continues the segment before it; where that one is damaged it
continues the last one that is not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune import __version__
from cloudtune.errors import CloudtuneError, NewerFormat
from cloudtune.store.encoding import encode
from cloudtune.store.entries import LOG_FORMAT

#: The event of a segment's header, and of that of a packed object. No entry of the log is called so.
SEGMENT = "segment"
PACKED = "packed"

_SEGMENT_NAME = re.compile(r"(\d{8,})\.jsonl")
_PACKED_NAME = re.compile(r"(\d{8,})-(\d{8,})\.jsonl")


class NotWhatWasWritten(CloudtuneError):
    """An object of the log is damaged; the message says how, as a phrase that follows its name."""


class LogKeys:
    """Names of the objects of an experiment's log.

    Args:
        root: Prefix of the experiment, with or without a slash at its end.

    Raises:
        ValueError: It is empty.
    """

    def __init__(self, root: str) -> None:
        if not root.strip("/"):
            raise ValueError("the prefix of an experiment in S3 is empty; name one, such as cloudtune/name/name/")
        self.root = root.rstrip("/") + "/"
        self.log = self.root + "log/"
        self.packed = self.root + "packed/"
        self.lease = self.root + "lease.json"

    @property
    def name(self) -> str:
        """The last part of the prefix: what the experiment is called."""
        return self.root.rstrip("/").rpartition("/")[2]

    def segment(self, seq: int) -> str:
        """A segment."""
        return f"{self.log}{seq:08d}.jsonl"

    def pack(self, first: int, last: int) -> str:
        """The packed object with the segments from ``first`` to ``last``."""
        return f"{self.packed}{first:08d}-{last:08d}.jsonl"

    def seq_of(self, key: str) -> int | None:
        """Number of the segment that is called so; None if none is."""
        match = _SEGMENT_NAME.fullmatch(key[len(self.log) :])
        return int(match[1]) if match else None

    def range_of(self, key: str) -> tuple[int, int] | None:
        """First and last segment of the packed object that is called so; None if none is."""
        match = _PACKED_NAME.fullmatch(key[len(self.packed) :])
        return (int(match[1]), int(match[2])) if match and int(match[1]) <= int(match[2]) else None


@dataclass(frozen=True)
class Segment:
    """A segment that is what was written.

    Args:
        seq: Its number, from 1.
        epoch: Of its owner.
        nonce: Of its owner.
        first: Number of its first entry in the whole log.
        entries: How many it has.
        counts: Number of the segment that it continues; 0: none.
        after: Digest of that one; "" for none.
        data: All of it, the header included.
        digest: SHA-256 of ``data``.
    """

    seq: int
    epoch: int
    nonce: str
    first: int
    entries: int
    counts: int
    after: str
    data: bytes
    digest: str


def make_segment(
    seq: int, epoch: int, nonce: str, first: int, counts: int, after: str, lines: Sequence[bytes]
) -> Segment:
    """A segment of these lines, each with its newline."""
    body = b"".join(lines)
    header = {
        "event": SEGMENT,
        "seq": seq,
        "epoch": epoch,
        "nonce": nonce,
        "first": first,
        "entries": len(lines),
        "sha256": hashlib.sha256(body).hexdigest(),
        "format": LOG_FORMAT,
        "version": __version__,
        "counts": counts,
        "after": after,
    }
    data = encode(header).encode() + b"\n" + body
    return Segment(seq, epoch, nonce, first, len(lines), counts, after, data, hashlib.sha256(data).hexdigest())


def read_segment(seq: int, data: bytes, where: str) -> Segment:
    """What an object of the log holds.

    Args:
        seq: The number it is called by.
        data: All of it.
        where: Its name, for messages.

    Raises:
        NotWhatWasWritten: It is damaged.
        NewerFormat: It was written by a newer cloudtune.
    """
    line, newline, body = data.partition(b"\n")
    header = read_header(line, SEGMENT, where)
    if not newline or hashlib.sha256(body).hexdigest() != header.get("sha256"):
        raise NotWhatWasWritten("was cut off or changed")
    try:
        segment = Segment(
            seq=header["seq"],
            epoch=header["epoch"],
            nonce=header["nonce"],
            first=header["first"],
            entries=header["entries"],
            counts=header["counts"],
            after=header["after"],
            data=data,
            digest=hashlib.sha256(data).hexdigest(),
        )
    except KeyError as error:
        raise NotWhatWasWritten(f"has a header without {error}") from error
    if segment.seq != seq:
        raise NotWhatWasWritten(f"is a copy of segment {segment.seq}")
    if body.count(b"\n") != segment.entries or not 0 <= segment.counts < seq:
        raise NotWhatWasWritten("has a header that does not fit it")
    return segment


def read_header(line: bytes, event: str, where: str) -> dict[str, Any]:
    """The first line of an object of the log.

    Raises:
        NotWhatWasWritten: It is none.
        NewerFormat: It was written by a newer cloudtune.
    """
    try:
        header = json.loads(line)
    except ValueError as error:
        raise NotWhatWasWritten("is empty, was cut off or changed") from error
    if not isinstance(header, dict) or header.get("event") != event or not isinstance(header.get("format"), int):
        raise NotWhatWasWritten("is no part of an event log")
    if header["format"] > LOG_FORMAT:
        raise NewerFormat(
            f"{where} was written by cloudtune {header.get('version')} (log format {header['format']}), and this is "
            f"cloudtune {__version__} (log format {LOG_FORMAT}): upgrade with `pip install --upgrade cloudtune`"
        )
    return header


def make_pack(segments: Sequence[bytes], first: int, last: int) -> bytes:
    """A packed object.

    Args:
        segments: All bytes of each, in their order.
        first: Number of the first one.
        last: Number of the last one.
    """
    body = b"".join(segments)
    header = {
        "event": PACKED,
        "first": first,
        "last": last,
        "sizes": [len(data) for data in segments],
        "sha256": hashlib.sha256(body).hexdigest(),
        "format": LOG_FORMAT,
        "version": __version__,
    }
    return encode(header).encode() + b"\n" + body


def read_pack(first: int, last: int, data: bytes, where: str) -> list[bytes]:
    """The segments that a packed object holds, all bytes of each.

    Raises:
        NotWhatWasWritten: It is damaged.
        NewerFormat: It was written by a newer cloudtune.
    """
    line, newline, body = data.partition(b"\n")
    header = read_header(line, PACKED, where)
    sizes = header.get("sizes")
    if (
        not newline
        or hashlib.sha256(body).hexdigest() != header.get("sha256")
        or (header.get("first"), header.get("last")) != (first, last)
        or not isinstance(sizes, list)
        or len(sizes) != last - first + 1
        or sum(sizes) != len(body)
    ):
        raise NotWhatWasWritten("was cut off or changed")
    segments, start = [], 0
    for size in sizes:
        segments.append(body[start : start + size])
        start += size
    return segments
