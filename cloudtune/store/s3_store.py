"""An experiment in S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cloudtune.aws.s3 import Bucket
from cloudtune.store.store import Entry, Store


class S3Store(Store):
    """The event log and what is derived from it, below a prefix of a bucket."""

    def __init__(
        self,
        bucket: Bucket,
        root: str,
        results_update_interval: float = 10.0,
        job_is_over: Callable[[str], bool] | None = None,
        scratch: Path | None = None,
        patience: float = 900.0,
    ) -> None:
        self.bucket = bucket
        self.root = root
        self.results_update_interval = results_update_interval

    def exists(self) -> bool:
        raise NotImplementedError

    def open(self, takeover: bool = False) -> None:
        raise NotImplementedError

    def append(self, entries: Sequence[Entry]) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def read(self, start: int = 0) -> Iterator[Entry]:
        raise NotImplementedError

    def length(self) -> int:
        raise NotImplementedError

    def write_metadata(self, metadata: dict[str, Any]) -> None:
        raise NotImplementedError

    def update_results(self) -> None:
        raise NotImplementedError

    def snapshot(self, state: bytes) -> None:
        raise NotImplementedError

    def load_snapshot(self) -> bytes | None:
        raise NotImplementedError

    def maintain(self, now: float) -> float | None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
