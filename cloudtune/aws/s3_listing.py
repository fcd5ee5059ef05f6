"""What has changed below a prefix since one looked last."""

from __future__ import annotations

from cloudtune.aws.s3 import Bucket, Listed


class Listing:
    """Remembers ETags between two listings."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.gone: list[str] = []

    def changed(self) -> list[Listed]:
        """Objects that are new or have another ETag since the last call; ``gone`` then names those that vanished."""
        raise NotImplementedError
