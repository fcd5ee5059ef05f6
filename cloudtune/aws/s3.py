"""Objects of one bucket: read, write (on condition), list, copy and delete, many at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudtune.aws.clients import Aws


@dataclass(frozen=True)
class Got:
    """An object as it was read."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Listed:
    """An object as a listing tells of it."""

    key: str
    size: int
    etag: str


class Bucket:
    """A bucket.

    Args:
        aws: Whose region and credentials.
        name: Of the bucket.
        owner: Account that must own it (twelve digits); anything else is refused by S3.
        kms_key: Key that encrypts what is written; by default the bucket's own encryption.
        patience: Seconds for which throttled and failed calls are repeated; 0: told at once.
    """

    def __init__(
        self,
        aws: Aws,
        name: str,
        owner: str | None = None,
        kms_key: str | None = None,
        *,
        patience: float | None = None,
    ) -> None:
        self.aws = aws
        self.name = name
        self.owner = owner
        self.kms_key = kms_key
        self.patience = patience

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Writes an object; its ETag. Conflict where the condition does not hold."""
        raise NotImplementedError

    def put_own(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """As :meth:`put`, but an object that already holds exactly ``body`` is no conflict."""
        raise NotImplementedError

    def get(self, key: str) -> Got | None:
        """An object; None if there is none."""
        raise NotImplementedError

    def get_if_changed(self, key: str, etag: str | None) -> Got | None:
        """An object if its ETag is another; None if it has not changed. NotFound if there is none."""
        raise NotImplementedError

    def get_many(self, keys: Iterable[str]) -> dict[str, Got]:
        """Objects, read in parallel; those that do not exist are left out."""
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        """Whether there is an object."""
        raise NotImplementedError

    def list(self, prefix: str, start_after: str = "") -> list[Listed]:
        """All objects below a prefix, in order of their keys."""
        raise NotImplementedError

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects; those that do not exist are no error."""
        raise NotImplementedError

    def delete_prefix(self, prefix: str) -> int:
        """Deletes all below a prefix; how many."""
        raise NotImplementedError

    def copy_many(self, pairs: Sequence[tuple[str, str, int]], source: Bucket | None = None) -> None:
        """Copies (source key, target key, size) on S3's side."""
        raise NotImplementedError

    def upload_files(self, files: Sequence[tuple[str | os.PathLike[str], str]]) -> None:
        """Uploads (path, key)."""
        raise NotImplementedError

    def download_files(
        self, files: Sequence[tuple[str, str | os.PathLike[str]]], folder: str | os.PathLike[str] | None = None
    ) -> None:
        """Downloads (key, path); with ``folder``, paths are relative to it and never lead out of it."""
        raise NotImplementedError
