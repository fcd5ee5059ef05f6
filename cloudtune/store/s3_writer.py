"""Writing an event log in S3: entries are gathered, and put as segments that nobody can overwrite."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cloudtune import __version__
from cloudtune.aws.errors import PASSING, AwsError, Conflict, ServiceFailure
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import Fenced
from cloudtune.store.encoding import encode
from cloudtune.store.entries import EPOCH, LOG_FORMAT
from cloudtune.store.lease import describe_holder
from cloudtune.store.s3_chain import Chain
from cloudtune.store.s3_log import LogReader
from cloudtune.store.s3_segments import NotWhatWasWritten, Segment, make_segment, read_segment
from cloudtune.store.store import Entry

logger = logging.getLogger(__name__)

#: What S3 answers to one of several conditional writes that come at once: nobody has won yet.
_RACE = "ConditionalRequestConflict"
#: Seconds before a put that failed is tried again: at first, and at most.
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
#: Tries in the background before it is left to the next turn.
_QUICK_TRIES = 3
#: Seconds of failing after which the user is told.
_WARN_AFTER = 10.0
#: More bytes than this are not put into one segment.
_LARGEST = 8 << 20


class LogWriter:
    """The end of the log that grows.

    Any thread may :meth:`put`; entries are added by one. What was put is in the chain, the rest in memory.

    A segment whose put has no clear answer is put again, byte for byte, until it is known what stands at its place:
    ours, then it counts; another's, then that tuner has taken over.

    Args:
        bucket: Where the log lies.
        reader: Of the log, up to date.
        patience: For how many seconds puts are tried again while S3 cannot be reached.
        ended: Set when the lease was lost: nobody waits for S3 any more then.
    """

    def __init__(self, bucket: Bucket, reader: LogReader, patience: float, ended: threading.Event) -> None:
        self._bucket = bucket
        self._impatient = bucket.with_patience(0)
        self.patience = patience
        self._ended = ended
        self._reader = reader
        self.keys = reader.keys
        self.chain: Chain = reader.chain
        self.epoch = 0
        #: Tells our segments from all others'.
        self.nonce = os.urandom(8).hex()
        self._lines: list[bytes] = []
        self._gathered = 0
        #: The segment that is being put, and how many of the lines are in it.
        self._segment: Segment | None = None
        self._in_segment = 0
        self._state = threading.Lock()
        self._putting = threading.Lock()
        self._fenced: str | None = None
        self._failing_since: float | None = None
        #: Why the newest put has failed; None: it has not.
        self.failure: AwsError | None = None
        self._warned = False

    # ------------------------------------------------------------------ beginning

    def begin(self, owner: dict[str, Any], confirm: Callable[[], None]) -> None:
        """Begins an epoch.

        Args:
            owner: Who we are.
            confirm: Raises Fenced if the lease is not ours any more.

        Raises:
            Fenced: Another tuner took over meanwhile.
            AwsError: S3 cannot be reached.
        """
        while True:
            self._reader.read_on()
            # A tuner that takes the lease from now on will look at the log from now on: one of us gets the next number,
            # and whoever does not looks again. A tuner that we took over from may have put one at the last moment.
            confirm()
            self.epoch = self.chain.highest_epoch + 1
            entry = {
                "event": EPOCH,
                "epoch": self.epoch,
                "nonce": self.nonce,
                "owner": {key: owner.get(key) for key in ("host", "pid", "user", "job")},
                "unix": time.time(),
                "format": LOG_FORMAT,
                "version": __version__,
            }
            if self.chain.damage:
                entry["damage"] = self.chain.damage
            segment = self._made([encode(entry).encode() + b"\n"])
            if self._is_put(self._bucket, segment):
                self.chain.feed(segment)
                return

    # ------------------------------------------------------------------ growing

    def add(self, entries: Sequence[Entry]) -> None:
        """Takes entries in. Raises TypeError if one is no JSON; then none is taken."""
        lines = [encode(entry).encode() + b"\n" for entry in entries]
        with self._state:
            self._lines += lines
            self._gathered += sum(map(len, lines))

    @property
    def gathered(self) -> int:
        """Bytes that wait to be put."""
        return self._gathered

    def length(self) -> int:
        """Number of entries, those included that wait to be put."""
        with self._state:
            return self.chain.length() + len(self._lines)

    def blocks(self, start: int) -> Iterator[list[Entry]]:
        """All entries from number ``start`` on as they stand now, those included that wait to be put."""
        with self._state:
            length, lines = self.chain.length(), list(self._lines)
            stored = self.chain.blocks(start)
        return self._blocks(stored, lines[max(0, start - length) :])

    @staticmethod
    def _blocks(stored: Iterator[list[Entry]], lines: list[bytes]) -> Iterator[list[Entry]]:
        yield from stored
        if lines:
            yield [json.loads(line) for line in lines]

    # ------------------------------------------------------------------ putting

    def check(self) -> None:
        """Returns if nothing is known of another tuner that took over.

        Raises:
            Fenced: One has.
        """
        if self._fenced is not None:
            raise Fenced(self._fenced)

    def put(self, check: Callable[[], object]) -> None:
        """Returns when all that was added before is in S3.

        Args:
            check: Called between two tries; raises what ends the trying.

        Raises:
            Fenced: Another tuner took over.
            AwsError: S3 could not be reached for the whole of our patience, or refuses us. Nothing is lost: a later
                call goes on where this one ended.
            StorageFull: There is no room on this machine for a copy.
        """
        until, pause = self.length(), _FIRST_PAUSE
        while self.chain.length() < until:
            try:
                self.put_once()
            except PASSING as error:
                if not self.is_patient(error):
                    raise
                check()
                self._ended.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE

    def put_soon(self) -> None:
        """As :meth:`put_once`, with a few tries, since a single request may fail at any time."""
        for _ in range(_QUICK_TRIES - 1):
            try:
                self.put_once()
            except PASSING as error:
                logger.debug("a segment is put again: %s", error)
                self._ended.wait(_FIRST_PAUSE)
            else:
                return
        self.put_once()

    def put_once(self) -> None:
        """Puts what was added, in one segment; less if that would be too large. One try.

        Raises:
            Fenced: Another tuner took over.
            AwsError: No clear answer, or S3 refuses us.
            StorageFull: There is no room on this machine for a copy.
        """
        with self._putting:
            self.check()
            if self._segment is None and not self._take_lines():
                return
            segment = self._segment
            assert segment is not None
            if not self._is_put(self._impatient, segment):
                self._fenced = self._who_took_over(segment.seq)
                self.check()
            with self._state:
                # Before the lines are given up: without room on this machine the same segment is put again.
                self.chain.feed(segment)
                self._gathered -= sum(map(len, self._lines[: self._in_segment]))
                del self._lines[: self._in_segment]
                self._segment = None
        if self._failing_since is not None:
            self._failing_since = self.failure = None
            if self._warned:
                logger.warning("the event log of experiment %r can be written to S3 again", self.keys.name)

    def is_patient(self, error: AwsError) -> bool:
        """Notes that a put failed; False once that has been so for longer than our patience."""
        now = time.monotonic()
        self.failure = error
        if self._failing_since is None:
            self._failing_since, self._warned = now, False
        if not self._warned and now - self._failing_since >= _WARN_AFTER:
            self._warned = True
            logger.warning(
                "the event log of experiment %r cannot be written to S3 at the moment: %s It is tried again for %.0f "
                "seconds; meanwhile trials go on, and what they report is kept in memory.",
                self.keys.name,
                error,
                self.patience,
            )
        return now - self._failing_since < self.patience

    def _take_lines(self) -> bool:
        with self._state:
            count = size = 0
            while count < len(self._lines) and (count == 0 or size + len(self._lines[count]) <= _LARGEST):
                size += len(self._lines[count])
                count += 1
            lines = self._lines[:count]
        if not lines:
            return False
        self._segment, self._in_segment = self._made(lines), count
        return True

    def _made(self, lines: Sequence[bytes]) -> Segment:
        tip = self.chain.tip
        return make_segment(
            seq=self.chain.highest + 1,
            epoch=self.epoch,
            nonce=self.nonce,
            first=self.chain.length(),
            counts=tip.seq if tip else 0,
            after=tip.digest if tip else "",
            lines=lines,
        )

    def _is_put(self, bucket: Bucket, segment: Segment) -> bool:
        """Puts a segment; False if another's stands in its place.

        Raises:
            AwsError: No clear answer; it may stand there, or come to stand there yet.
        """
        key = self.keys.segment(segment.seq)
        try:
            bucket.put(key, segment.data, if_none_match=True)
        except Conflict as error:
            there = None if error.code == _RACE else bucket.get(key)
            if there is None:
                raise ServiceFailure(
                    f"{bucket.uri(key)} was neither written nor found; try again later.", error.code, error.operation
                ) from error
            return there.body == segment.data
        return True

    def _who_took_over(self, seq: int) -> str:
        """After another's segment was found in the place of ours."""
        key = self.keys.segment(seq)
        holder = None
        try:
            there = self._bucket.get(key)
            if there is not None:
                data = read_segment(seq, there.body, self._bucket.uri(key)).data
                entry = json.loads(data.split(b"\n", 2)[1])
                holder = {**entry["owner"], "since": entry["unix"]} if entry["event"] == EPOCH else None
        except (AwsError, NotWhatWasWritten) as error:
            logger.debug("%s does not tell whose it is: %s", key, error)
        return (
            f"experiment {self.keys.name!r} was taken over by {describe_holder(holder)}: this tuner stops and leaves "
            "everything to that one"
        )
