"""The contract of a store: the event log that *is* the experiment, and what is derived from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: One entry of the log: a JSON object whose ``"event"`` names its kind (see ``cloudtune.store.entries``).
Entry = dict[str, Any]


class Store(ABC):
    """Holds one experiment. Entries are numbered from 0 in the order they were appended, over all owners.

    Life: :meth:`open` takes the lease and begins an epoch; then one writer appends; :meth:`close` gives the lease back.
    Reading needs no lease.
    """

    #: ``s3://bucket[/prefix]`` below which the experiment lies, where it does so in S3.
    s3_path: str | None = None
    #: Region of that bucket.
    s3_region: str | None = None
    #: Key that encrypts what is written there, where one was chosen.
    kms_key: str | None = None

    @abstractmethod
    def exists(self) -> bool:
        """True if the experiment has a log."""

    @abstractmethod
    def open(self, takeover: bool = False) -> None:
        """Takes the lease and begins a new epoch (one more entry, event ``epoch``).

        Args:
            takeover: Take the lease from an owner that seems alive. That owner is fenced.

        Raises:
            ExperimentLocked: Another tuner holds the lease.
            NewerFormat: The experiment was written by a newer cloudtune.
        """

    @abstractmethod
    def append(self, entries: Sequence[Entry]) -> None:
        """Appends entries. They are durable after :meth:`flush`, or by themselves within 5 seconds.

        Raises:
            Fenced: The lease was lost to another tuner: nothing of ``entries`` will ever be read.
            StorageFull: There is no room; none of ``entries`` is in the log, all earlier ones are.
        """

    @abstractmethod
    def flush(self) -> None:
        """Returns when everything appended so far survives a crash of this process. Raises as :meth:`append`."""

    @abstractmethod
    def confirm(self) -> None:
        """Returns if this store still has the experiment. Asks whoever knows; may be called from any thread.

        Raises:
            Fenced: Another tuner has it.
        """

    @abstractmethod
    def read(self, start: int = 0) -> Iterator[Entry]:
        """Yields the entries from number ``start`` on, as they stand at the time of the call."""

    @abstractmethod
    def length(self) -> int:
        """Number of entries."""

    @abstractmethod
    def write_metadata(self, metadata: dict[str, Any]) -> None:
        """Replaces ``metadata.json`` atomically."""

    @abstractmethod
    def update_results(self) -> None:
        """Replaces ``results.csv.zip`` atomically by what the log says now."""

    @abstractmethod
    def snapshot(self, state: bytes) -> None:
        """Replaces ``tuner.dill`` atomically."""

    @abstractmethod
    def load_snapshot(self) -> bytes | None:
        """The newest snapshot, or None."""

    @abstractmethod
    def maintain(self, now: float) -> float | None:
        """Does the periodic work that is due (sync, renewing the lease); called once per turn of the tuner's loop.

        Args:
            now: Unix seconds, the backend's ``wall_time``.

        Returns:
            When it wants to be called next at the latest (Unix seconds), or None if there is nothing to wait for.
        """

    def end_by(self, time_left: Callable[[], float]) -> None:  # noqa: B027 - most wait for nothing that may not come
        """Told after :meth:`open`: how long anything may be waited for, :meth:`close` included.

        Args:
            time_left: Seconds until the tuner is to have ended; infinite as long as nobody waits for that.
        """

    @abstractmethod
    def close(self) -> None:
        """Makes everything durable and gives the lease back. Safe to call twice."""
