"""An object of an experiment in S3 that its owner replaces from time to time."""

from __future__ import annotations

from collections.abc import Callable

from cloudtune.aws.errors import Conflict
from cloudtune.aws.s3 import Bucket

_TRIES = 10


class OwnedObject:
    """Replaced in one step, and only in the version that its owner knows.

    So a tuner that has lost the experiment, and does not know yet, never replaces what its successor wrote. What the
    successor comes upon that it did not write itself, it replaces: once it has asked whether the experiment is still
    its own, for that may be what the next one has written already.

    Args:
        bucket: Where it lies.
        key: What it is called.
        confirm: Raises Fenced if the experiment is not ours any more; asks S3.
    """

    def __init__(self, bucket: Bucket, key: str, confirm: Callable[[], None]) -> None:
        self._bucket = bucket
        self._key = key
        self._confirm = confirm
        self._etag: str | None = None
        self._known = False

    def put(self, body: bytes) -> None:
        """Replaces it.

        Raises:
            Fenced: Another tuner took over.
            AwsError: S3 cannot be reached, or refuses.
        """
        for last in (False,) * (_TRIES - 1) + (True,):
            if not self._known:
                there = self._bucket.head(self._key)
                # In this order: what a tuner writes that takes over from now on is another version than this one.
                self._confirm()
                self._etag, self._known = (None if there is None else there.etag), True
            try:
                if self._etag is None:
                    self._etag = self._bucket.put(self._key, body, if_none_match=True)
                else:
                    self._etag = self._bucket.put(self._key, body, if_match=self._etag)
            except Conflict:
                # Another wrote it, or we did and no answer came.
                self._known = False
                if last:
                    self._confirm()
                    raise
            else:
                return
