"""S3, as far as the agent needs it: a thin wrapper of boto3 that gets along with old ones (1.20).

No conditional writes and no checksum parameters, which old ones do not know.
"""

from __future__ import annotations

import builtins
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from cloudtune.agent.s3_errors import NoBoto3, S3Denied, S3Error, S3NotFound, S3Unreachable, sort_error

__all__ = ["S3", "Got", "NoBoto3", "NotChanged", "S3Denied", "S3Error", "S3NotFound", "S3Unreachable"]

_CONNECT_TIMEOUT = 5
_READ_TIMEOUT = 20
#: Of one call; who calls tries again with waits of its own.
_ATTEMPTS = 3
_BATCH = 1000
_POOL = 16


class Got(NamedTuple):
    """An object that was read."""

    body: bytes
    etag: str


class NotChanged(S3Error):
    """The object still has the ETag that was given."""


class S3:
    """One bucket. Safe to use from several threads.

    Args:
        bucket: Its name.
        owner: Account that owns it; every call is refused if another one does. "": not checked.
        region: Where it is.
        kms_key: Key to encrypt what is written with; None: the bucket's default.

    Raises:
        NoBoto3: The image has no boto3.
    """

    def __init__(self, bucket: str, owner: str, region: str, kms_key: str | None = None) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise NoBoto3(f"the image has no boto3 ({error}); install it in the image") from error
        self.bucket = bucket
        #: When an upload got further for the last time, as ``time.monotonic()``: a large one takes its time.
        self.moved = 0.0
        self._owner: dict[str, Any] = {"ExpectedBucketOwner": owner} if owner else {}
        self._encryption: dict[str, Any] = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        )
        # An old botocore does not know these variables.
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
        config = Config(
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            max_pool_connections=_POOL,
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        try:
            self._client = boto3.session.Session().client(
                "s3", region_name=region or None, endpoint_url=endpoint, config=config
            )
        except Exception as error:
            raise sort_error(error, "connecting to S3") from error

    def get(self, key: str, etag: str | None = None) -> Got | None:
        """The object, or None if there is none.

        Raises:
            NotChanged: It has the ETag ``etag``.
        """
        condition = {"IfNoneMatch": etag} if etag else {}
        with self._sorting_errors("reading", key):
            from botocore.exceptions import ClientError

            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key, **condition, **self._owner)
            except ClientError as error:
                code = str((error.response.get("Error") or {}).get("Code", ""))
                if code in ("304", "NotModified"):
                    raise NotChanged(key) from None
                if code in ("NoSuchKey", "404"):
                    return None
                raise
            body = answer["Body"]
            try:
                return Got(body.read(), answer["ETag"])
            finally:
                body.close()

    def put(self, key: str, body: bytes) -> str:
        """Writes the object; its ETag."""
        with self._sorting_errors("writing", key):
            answer = self._client.put_object(Bucket=self.bucket, Key=key, Body=body, **self._encryption, **self._owner)
            return str(answer["ETag"])

    def list(self, prefix: str) -> builtins.list[tuple[str, int, str]]:
        """Key, size and ETag of all objects below a prefix, sorted by key."""
        found = []
        with self._sorting_errors("listing", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, **self._owner):
                found += [(one["Key"], one["Size"], one["ETag"]) for one in page.get("Contents", ())]
        return found

    def upload_file(self, path: str, key: str) -> None:
        """Uploads a file, a large one in parts.

        Raises:
            OSError: The file cannot be read.
        """
        sent = furthest = 0

        def count(amount: int) -> None:
            nonlocal sent, furthest
            sent += amount  # less than nothing where a part has failed and begins anew
            if sent > furthest:
                furthest, self.moved = sent, time.monotonic()

        extra = {**self._encryption, **self._owner}
        with self._sorting_errors("writing", key):
            self._client.upload_file(path, self.bucket, key, ExtraArgs=extra, Callback=count)

    def download_file(self, key: str, path: str) -> None:
        """Downloads an object into a file, which is there completely or not at all.

        Raises:
            S3NotFound: There is no such object.
            OSError: The file cannot be written.
        """
        with self._sorting_errors("reading", key):
            self._client.download_file(self.bucket, key, path, ExtraArgs=dict(self._owner))

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects; that one is not there is no error."""
        for start in range(0, len(keys), _BATCH):
            batch = [{"Key": key} for key in keys[start : start + _BATCH]]
            with self._sorting_errors("deleting", keys[start]):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}, **self._owner
                )
            for failed in answer.get("Errors", ()):
                kind = S3Denied if failed.get("Code") == "AccessDenied" else S3Unreachable
                raise kind(f"deleting s3://{self.bucket}/{failed.get('Key')} failed: {failed.get('Message')}")

    @contextmanager
    def _sorting_errors(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            sorted_error = sort_error(error, f"{doing} s3://{self.bucket}/{key}")
            if sorted_error is error:
                raise
            raise sorted_error from error
