"""The objects through which an attempt tells its tuner what is new: the head in the inbox, chunks, the end mark."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from cloudtune.agent.protocol import ENDED, FORMAT, INSTALLING, Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.forms import EndForm, Head, Task
    from cloudtune.agent.s3 import S3

#: The tail of reports in the head becomes a chunk when it is larger than this.
TAIL_BYTES = 64_000
TAIL_REPORTS = 500
#: Of a chunk, about. A burst of reports becomes few objects.
CHUNK_BYTES = 4_000_000
_OLD_OUTPUT = 200


class Outbox:
    """One run's objects. Reports may be added in any thread; one thread puts.

    Args:
        s3: Writes the bucket.
        task: Says which attempt of which trial.
        host: This host's name.
        job: The job's name.
        previous: The last head of an earlier run of the attempt, which a spot interruption ended.
    """

    def __init__(self, s3: S3, task: Task, host: str, job: str, previous: Head | None = None) -> None:
        self._s3 = s3
        self._keys = Keys(task["prefix"])
        self._trial, self._attempt = task["trial"], task["attempt"]
        self._names = {"host": host, "job": job}
        self._lock = threading.Lock()
        self._beat = 0
        self._first = 0  # number of the first report in the tail
        self._tail: list[str] = []
        self._tail_bytes = 0
        self._chunk: tuple[int, int] | None = None  # first and count of a chunk that may be there already
        self._told: tuple[object, ...] = ()
        self.run = 0
        self.shipped = 0
        self.state = INSTALLING
        self.checkpoint: str | None = None
        self.end: EndForm | None = None
        self._chunks: list[tuple[int, int, int]] = []
        self._ended_runs: dict[str, EndForm] = {}
        self._inherited: tuple[int, int, list[dict[str, Any]]] | None = None
        if previous is not None:
            self._follow(previous)

    @property
    def made(self) -> int:
        """How many reports were added."""
        with self._lock:
            return self._first + len(self._tail)

    def add(self, reports: list[str]) -> None:
        """Adds reports, as JSON texts."""
        with self._lock:
            self._tail += reports
            self._tail_bytes += sum(map(len, reports))

    def has_news(self) -> bool:
        """Whether a put would tell the tuner anything new."""
        return self._now() != self._told

    def put(self) -> None:
        """Puts what is to be told: chunks before the head that names them, the end mark before the head that has it.

        Raises:
            S3Error: It did not work, or it is not known whether it did. To be called again.
        """
        self._put_inherited()
        self._put_chunks()
        now = self._now()
        with self._lock:
            tail, first, end = list(self._tail), self._first, self.end
        self._beat += 1
        body = self._head(first, tail, end)
        if end is not None:
            self._s3.put(self._keys.end(self._trial, self._attempt), body)
        self._s3.put(self._keys.head(self._trial, self._attempt), body)
        self._told = now if self._now() == now else ()
        self.shipped = first + len(tail)

    def _now(self) -> tuple[object, ...]:
        return self.made, self.state, self.checkpoint, self.end is None

    def _follow(self, previous: Head) -> None:
        self.run = previous["run"] + 1
        self.checkpoint = previous.get("checkpoint")
        self._chunks = [(run, first, count) for run, first, count in previous["chunks"]]
        self._ended_runs = dict(previous["ended_runs"])
        end = previous.get("end")
        if end is not None:
            # Of many runs the outputs would make a large head; who wants to know reads the log.
            self._ended_runs[str(previous["run"])] = {**end, "output": end["output"][-_OLD_OUTPUT:]}
        if previous["reports"]:
            self._inherited = (previous["run"], previous["first"], previous["reports"])

    def _put_inherited(self) -> None:
        """The reports that only the old head has, which the new one is about to replace."""
        if self._inherited is not None:
            run, first, reports = self._inherited
            texts = [json.dumps(report, separators=(",", ":")) for report in reports]
            self._put_chunk(run, first, texts)
            self._inherited = None

    def _put_chunks(self) -> None:
        """Moves a tail that is too long for the head into objects of its own."""
        while True:
            with self._lock:
                if self._chunk is None:
                    if self._tail_bytes <= TAIL_BYTES and len(self._tail) <= TAIL_REPORTS:
                        return
                    self._chunk = (self._first, _how_many(self._tail))
                first, count = self._chunk
                texts = self._tail[:count]
            # If this fails it may yet be there: it is tried again with the same name and content, whatever is new.
            self._put_chunk(self.run, first, texts)
            with self._lock:
                self._chunk = None
                self._first += count
                self._tail = self._tail[count:]
                self._tail_bytes -= sum(map(len, texts))

    def _put_chunk(self, run: int, first: int, texts: list[str]) -> None:
        key = self._keys.chunk(self._trial, self._attempt, run, first)
        self._s3.put(key, ("\n".join(texts) + "\n").encode())
        self._chunks.append((run, first, len(texts)))

    def _head(self, first: int, tail: list[str], end: EndForm | None) -> bytes:
        head = {
            "format": FORMAT,
            "trial": self._trial,
            "attempt": self._attempt,
            "run": self.run,
            "state": ENDED if end is not None else self.state,
            "beat": self._beat,
            "chunks": self._chunks,
            "first": first,
            "checkpoint": self.checkpoint,
            "ended_runs": self._ended_runs,
            "end": end,
            **self._names,
            "unix": time.time(),
        }
        # Reports are JSON already.
        return f'{json.dumps(head)[:-1]}, "reports": [{",".join(tail)}]}}'.encode()


def newer(head: Head | None, end: Head | None) -> Head | None:
    """Which of the head in the inbox and the end mark of an earlier run says more."""
    if head is None or end is None:
        return head if end is None else end
    return end if (end["run"], end["beat"]) >= (head["run"], head["beat"]) else head


def _how_many(tail: list[str]) -> int:
    size = 0
    for count, text in enumerate(tail, start=1):
        size += len(text)
        if size >= CHUNK_BYTES:
            return count
    return len(tail)
