"""Reading an event log that lies in S3, while or after it is written."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.aws.s3 import Bucket
from cloudtune.store.store import Entry


class S3LogView:
    """The entries of a log as they stand at one instant: what is appended later is not seen.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.

    Raises:
        NewerFormat: The log was written by a newer cloudtune.
        AwsError: S3 cannot be read.
    """

    def __init__(self, bucket: Bucket, root: str) -> None:
        #: What of the log is lost, in a sentence; None if nothing is.
        self.damage: str | None = None
        raise NotImplementedError

    def length(self) -> int:
        """Number of entries."""
        raise NotImplementedError

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yields the entries from number ``start`` on."""
        raise NotImplementedError

    def blocks(self, start: int = 0) -> Iterator[list[Entry]]:
        """Yields the entries from number ``start`` on in lists of some thousands."""
        raise NotImplementedError

    def last_entry(self) -> Entry | None:
        """The newest entry, or None if there is none."""
        raise NotImplementedError


class S3LogFollower:
    """Follows a log that is being written, for a display.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.
    """

    def __init__(self, bucket: Bucket, root: str) -> None:
        self.damage: str | None = None

    def new_blocks(self) -> Iterator[list[Entry]]:
        """Yields what is new since the last call: one listing, and the new segments read in parallel."""
        raise NotImplementedError
