"""What has changed below a prefix since one looked last."""

from __future__ import annotations

from cloudtune.aws.s3 import Bucket, Listed


class Listing:
    """Remembers ETags between two listings. For one thread.

    Args:
        bucket: Where.
        prefix: What keys begin with.
    """

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix
        #: Keys that the last listing missed and the one before had.
        self.gone: list[str] = []
        self._etags: dict[str, str] = {}

    def changed(self) -> list[Listed]:
        """Objects that are new, or have another ETag, since the last call; all, the first time.

        Nothing is remembered of a listing that fails: the next one tells what it would have told.
        """
        found = self.bucket.list(self.prefix)
        before = self._etags
        self._etags = {one.key: one.etag for one in found}
        self.gone = [key for key in before if key not in self._etags]
        return [one for one in found if before.get(one.key) != one.etag]

    def forget(self, key: str) -> None:
        """Has the object told as changed once more, for a reader that could not make use of it."""
        self._etags.pop(key, None)
