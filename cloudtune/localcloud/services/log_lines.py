"""The lines of a log stream, kept in little more than the bytes of their text."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence


class LogLines:
    """Lines in order of arrival; a line's place in it is its *position*. Lines are added, never changed.

    Holds 16 bytes per line beside its UTF-8 text, and 16 per batch. Not thread-safe: who shares it holds a lock.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q")
        self._times = array("q")
        self._batch_starts = array("Q")
        self._batch_arrivals = array("Q")
        # Positions of lines that are older than the line before them: where there is none, time order is arrival order.
        self._descents = array("Q")
        self._sorted: tuple[int, int, array[int]] | None = None
        self.first_time: int | None = None
        self.last_time: int | None = None

    def __len__(self) -> int:
        return len(self._times)

    @property
    def bytes(self) -> int:
        """Of the text of all lines."""
        return len(self._text)

    @property
    def last_arrival(self) -> int:
        """Number of the newest batch; 0 without one."""
        return self._batch_arrivals[-1] if self._batch_arrivals else 0

    def append(self, lines: Sequence[tuple[int, str]], arrival: int) -> None:
        """Adds a batch.

        Args:
            lines: Milliseconds since 1970, and text; in any order of time.
            arrival: Microseconds since 1970 at which the batch arrived; greater than any given before.
        """
        if not lines:
            return
        self._batch_starts.append(len(self._times))
        self._batch_arrivals.append(arrival)
        position = len(self._times)
        end = len(self._text)
        previous = self._times[-1] if position else lines[0][0]
        pieces: list[bytes] = []
        for time, message in lines:
            # What a job writes may hold halves of surrogate pairs, which come back as they were.
            piece = message.encode("utf-8", "surrogatepass")
            pieces.append(piece)
            end += len(piece)
            self._ends.append(end)
            self._times.append(time)
            if time < previous:
                self._descents.append(position)
            previous = time
            position += 1
        self._text += b"".join(pieces)
        times = [time for time, _ in lines]
        oldest, newest = min(times), max(times)
        self.first_time = oldest if self.first_time is None else min(oldest, self.first_time)
        self.last_time = newest if self.last_time is None else max(newest, self.last_time)

    def time(self, position: int) -> int:
        """Milliseconds since 1970, as the writer said."""
        return self._times[position]

    def text(self, position: int) -> str:
        """The line."""
        return self._text[self._begin(position) : self._ends[position]].decode("utf-8", "surrogatepass")

    def size(self, position: int) -> int:
        """Bytes of the line's text."""
        return self._ends[position] - self._begin(position)

    def arrival(self, position: int) -> int:
        """Microseconds since 1970 at which the line's batch arrived."""
        return self._batch_arrivals[bisect_right(self._batch_starts, position) - 1]

    def arrived_until(self, arrival: int) -> int:
        """How many lines had arrived with that batch and those before it."""
        batch = bisect_right(self._batch_arrivals, arrival)
        return self._batch_starts[batch] if batch < len(self._batch_starts) else len(self._times)

    def by_time(self, begin: int, end: int) -> Sequence[int]:
        """The positions from ``begin`` to before ``end``, oldest line first, lines of one time as they arrived."""
        if bisect_left(self._descents, begin + 1) == bisect_left(self._descents, end):
            return range(begin, end)
        if self._sorted is None or self._sorted[:2] != (begin, end):
            self._sorted = begin, end, array("Q", sorted(range(begin, end), key=self._times.__getitem__))
        return self._sorted[2]

    def _begin(self, position: int) -> int:
        return self._ends[position - 1] if position else 0
