"""Objects of one bucket: read, write (on condition), list, copy and delete, many at once.

*Conditional writes.* S3 answers 412 (here :class:`Conflict`) where the condition of a write does not hold. That need
not mean that somebody else wrote: where the answer to a first try was lost, the try that botocore or we repeat meets
our own object. Whoever can tell its own content from others' (a nonce, an owner's name in it) uses
:meth:`Bucket.put_own`, which reads the object and compares; others read it themselves and decide.
"""

from __future__ import annotations

import base64
import builtins
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from cloudtune.aws.answer_time import age_of, aws_time
from cloudtune.aws.clients import Aws, tries_of_botocore
from cloudtune.aws.errors import PASSING, AwsError, Conflict, NotFound, classify_code
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3_copy import COPY_PARTS, copy_objects
from cloudtune.aws.s3_paths import path_inside
from cloudtune.aws.s3_transfer import TRANSFER_PARTS, Parts, download, upload

T = TypeVar("T")

#: Keys that one DeleteObjects may name.
_BATCH = 1000
#: S3 answers 409 to one of several conditional writes that come at once, and asks for another try.
_RACES = 5


@dataclass(frozen=True)
class Got:
    """An object as it was read. The ETag is as S3 gives it, with its quotation marks."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Seen:
    """An object as it was read, and how old it was then.

    Args:
        body: Its content.
        etag: As S3 gives it.
        age_seconds: Since it was written, both times by S3's own clock; None: S3 did not say.
    """

    body: bytes
    etag: str
    age_seconds: float | None


@dataclass(frozen=True)
class Listed:
    """An object as a listing tells of it; its size in bytes.

    ``age_seconds``: since it was written when it was listed, both times by S3's own clock; None: S3 did not say.
    """

    key: str
    size: int
    etag: str
    age_seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Summed:
    """What S3 tells of an object's content without sending it.

    Args:
        size: In bytes.
        etag: As S3 gives it.
        sha256: As :func:`sha256_of` has it; "" where it was not written with one.
    """

    size: int
    etag: str
    sha256: str


def sha256_of(body: bytes) -> str:
    """The checksum of a content, in S3's form."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


class Bucket:
    """A bucket. Thread-safe; may be pickled.

    All methods raise subclasses of :class:`~cloudtune.aws.errors.AwsError`.

    Args:
        aws: Whose region and credentials.
        name: Of the bucket.
        owner: Account that must own it (twelve digits); S3 refuses any other with AccessDenied.
        kms_key: Key that encrypts what is written; by default the bucket's own encryption.
        patience: For how many seconds throttled and failed calls are repeated; None: see :meth:`Aws.call`. 0: a failure
            is told at once, for loops that come again anyway.
        transfer_parts: From which size on files are sent and fetched in parts, and how large these are.
        copy_parts: The same for copies.
    """

    def __init__(
        self,
        aws: Aws,
        name: str,
        owner: str | None = None,
        kms_key: str | None = None,
        *,
        patience: float | None = None,
        transfer_parts: Parts = TRANSFER_PARTS,
        copy_parts: Parts = COPY_PARTS,
    ) -> None:
        self.aws = aws
        self.name = name
        self.owner = owner
        self.kms_key = kms_key
        self.patience = patience
        self.transfer_parts = transfer_parts
        self.copy_parts = copy_parts

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, owner={self.owner!r})"

    def with_patience(self, patience: float | None) -> Bucket:
        """The same bucket, more or less patient."""
        return Bucket(
            self.aws,
            self.name,
            self.owner,
            self.kms_key,
            patience=patience,
            transfer_parts=self.transfer_parts,
            copy_parts=self.copy_parts,
        )

    @property
    def place(self) -> dict[str, str]:
        """What every call is given: the bucket, and who must own it."""
        return {"Bucket": self.name} | ({"ExpectedBucketOwner": self.owner} if self.owner else {})

    @property
    def encryption(self) -> dict[str, str]:
        """What every call is given that makes an object."""
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key} if self.kms_key else {}

    def uri(self, key: str) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.name}/{key}"

    def attempt(self, operation: str, key: str, do: Callable[[Any], T]) -> T:
        """Runs ``do`` with a client as :meth:`Aws.attempt` does.

        Args:
            operation: Such as ``PutObject``.
            key: What the message of an error names.
            do: Calls the client that it is given.
        """
        attempts = tries_of_botocore("s3", self.patience)
        return self.aws.attempt(
            f"s3:{operation}",
            f"s3:{operation} of {self.uri(key)}",
            lambda: do(self.aws.client("s3", attempts)),
            patience=self.patience,
        )

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Writes an object.

        Args:
            key: Its name.
            body: Its content.
            if_none_match: Only if there is none.
            if_match: Only if the one that is there has this ETag.

        Returns:
            The ETag of what was written.

        Raises:
            Conflict: The condition does not hold. Our own object may be what is there: see the module's text.
        """
        return self._put(key, body, if_none_match, if_match, {})

    def put_summed(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """As :meth:`put`; S3 keeps the content's SHA-256 with it, for :meth:`sums`."""
        return self._put(key, body, if_none_match, if_match, {"ChecksumAlgorithm": "SHA256"})

    def _put(self, key: str, body: bytes, if_none_match: bool, if_match: str | None, members: Mapping[str, str]) -> str:
        condition = {**members, "IfNoneMatch": "*"} if if_none_match else {**members}
        if if_match is not None:
            condition["IfMatch"] = if_match

        def do(client: Any) -> str:
            answer = client.put_object(**self.place, **self.encryption, **condition, Key=key, Body=body)
            return str(answer["ETag"])

        for last in (False,) * (_RACES - 1) + (True,):
            try:
                return self.attempt("PutObject", key, do)
            except Conflict as error:
                if last or error.code != "ConditionalRequestConflict":
                    raise
            except NotFound as error:
                if if_match is None or error.code != "NoSuchKey":
                    raise
                raise Conflict(
                    f"s3:PutObject of {self.uri(key)} was to replace an object that is not there any more; look at "
                    "what has become of it before trying again.",
                    error.code,
                    error.operation,
                ) from error
        raise AssertionError("the last try returns or raises")

    def put_own(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """As :meth:`put`, but an object that holds exactly ``body`` already is no conflict: an earlier try wrote it.

        Only for a ``body`` that nobody else would write, such as one with a nonce.
        """
        try:
            return self.put(key, body, if_none_match=if_none_match, if_match=if_match)
        except Conflict:
            there = self.get(key)
            if there is None or there.body != body:
                raise
            return there.etag

    def get(self, key: str) -> Got | None:
        """An object; None if there is none. NotFound where there is no bucket."""
        seen = self.look(key)
        return None if seen is None else Got(seen.body, seen.etag)

    def look(self, key: str) -> Seen | None:
        """An object and its age, with one request; None if there is none. NotFound where there is no bucket."""

        def do(client: Any) -> Seen:
            answer = client.get_object(**self.place, Key=key)
            age = age_of(answer.get("LastModified"), aws_time(answer))
            return Seen(answer["Body"].read(), str(answer["ETag"]), age)

        try:
            return self.attempt("GetObject", key, do)
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return None

    def get_many(self, keys: Iterable[str]) -> dict[str, Got]:
        """Objects, read in parallel; those that do not exist are left out."""
        names = list(dict.fromkeys(keys))
        found = in_parallel(self.aws.threads, [partial(self.get, name) for name in names])
        return {name: got for name, got in zip(names, found, strict=True) if got is not None}

    def head(self, key: str) -> Listed | None:
        """Size and ETag of an object; None if there is none."""

        def do(client: Any) -> Listed:
            answer = client.head_object(**self.place, Key=key)
            return Listed(key, int(answer["ContentLength"]), str(answer["ETag"]))

        try:
            return self.attempt("HeadObject", key, do)
        except NotFound:
            return None

    def sums(self, key: str) -> Summed | None:
        """What S3 knows of an object's content; None if there is none."""

        def do(client: Any) -> Summed:
            answer = client.head_object(**self.place, Key=key, ChecksumMode="ENABLED")
            return Summed(int(answer["ContentLength"]), str(answer["ETag"]), str(answer.get("ChecksumSHA256") or ""))

        try:
            return self.attempt("HeadObject", key, do)
        except NotFound:
            return None

    def exists(self, key: str) -> bool:
        """Whether there is an object."""
        return self.head(key) is not None

    def list(self, prefix: str, start_after: str = "") -> builtins.list[Listed]:
        """All objects below a prefix, in the order of their keys.

        Args:
            prefix: What keys begin with.
            start_after: Only keys that come after this one.
        """
        found: builtins.list[Listed] = []
        more: dict[str, str] = {"StartAfter": start_after} if start_after else {}
        while True:
            page = self.attempt("ListObjectsV2", prefix, partial(self._page, prefix, more))
            now = aws_time(page)
            found += [
                Listed(row["Key"], int(row["Size"]), str(row["ETag"]), age_of(row.get("LastModified"), now))
                for row in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def folders(self, prefix: str) -> builtins.list[str]:
        """Names that stand between a prefix and the next slash, whatever lies below them: a page has a thousand."""
        found: builtins.list[str] = []
        more: dict[str, str] = {"Delimiter": "/"}
        while True:
            page = self.attempt("ListObjectsV2", prefix, partial(self._page, prefix, more))
            found += [row["Prefix"][len(prefix) : -1] for row in page.get("CommonPrefixes", ())]
            if not page.get("IsTruncated"):
                return found
            more = {"Delimiter": "/", "ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, more: Mapping[str, str], client: Any) -> dict[str, Any]:
        page: dict[str, Any] = client.list_objects_v2(**self.place, Prefix=prefix, **more)
        return page

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects, a thousand at a time, in parallel; those that do not exist are no error."""
        names = list(dict.fromkeys(keys))
        batches = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
        in_parallel(self.aws.threads, [partial(self._delete_batch, batch) for batch in batches])

    def _delete_batch(self, names: builtins.list[str]) -> None:
        left = names

        def do(client: Any) -> None:
            nonlocal left
            named = {"Objects": [{"Key": name} for name in left], "Quiet": True}
            answer = client.delete_objects(**self.place, Delete=named)
            errors: builtins.list[AwsError] = []
            failed: builtins.list[str] = []
            for row in answer.get("Errors", ()):
                doing = f"Deletion of {self.uri(row['Key'])}"
                errors.append(classify_code(row.get("Code", ""), row.get("Message", ""), doing, "s3:DeleteObjects"))
                failed.append(row["Key"])
            if errors:
                left = failed
                raise next((error for error in errors if not isinstance(error, PASSING)), errors[0])

        self.attempt("DeleteObjects", names[0], do)

    def delete_prefix(self, prefix: str) -> int:
        """Deletes all objects below a prefix; how many there were.

        Raises:
            ValueError: The prefix is empty: that would be all of the bucket.
        """
        if not prefix:
            raise ValueError("delete_prefix was given an empty prefix, which is the whole bucket; name what to delete.")
        keys = [one.key for one in self.list(prefix)]
        self.delete(keys)
        return len(keys)

    def copy_many(self, pairs: Sequence[tuple[str, str, int]], source: Bucket | None = None) -> None:
        """Copies objects on S3's side, in parallel; large ones in parts. What is at a target is replaced.

        Metadata and tags of large objects are not copied.

        Args:
            pairs: Source key, target key, size in bytes of each.
            source: Bucket that the sources are in; by default this one.

        Raises:
            NotFound: A source does not exist. Other targets may have been written.
        """
        copy_objects(source or self, self, pairs)

    def upload_files(self, files: Sequence[tuple[str | os.PathLike[str], str]]) -> None:
        """Uploads files (path, key), several at once; large ones in parts.

        Raises:
            OSError: A file cannot be read.
        """
        upload(self, [(os.fspath(path), key) for path, key in files])

    def download_files(
        self, files: Sequence[tuple[str, str | os.PathLike[str]]], folder: str | os.PathLike[str] | None = None
    ) -> None:
        """Downloads objects (key, path), several at once; a file appears when it is complete. Folders are made.

        Args:
            files: What comes where.
            folder: Paths are relative to it, and whatever they are, nothing is written outside of it. Without it they
                are taken as they are.

        Raises:
            InvalidRequest: A path leads out of the folder, or through a link; nothing was written then.
            NotFound: An object does not exist.
            OSError: A file cannot be written.
        """
        if folder is None:
            download(self, [(key, os.fspath(path)) for key, path in files])
        else:
            download(self, [(key, path_inside(folder, os.fspath(path))) for key, path in files])
