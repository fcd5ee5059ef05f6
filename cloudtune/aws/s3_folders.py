"""Looking at a bucket as if it had folders, without listing all that is in them."""

from __future__ import annotations

from functools import partial
from typing import Any

from cloudtune.aws.s3 import Bucket

#: So many S3 tells at a time.
_PAGE = 1000


def folders(bucket: Bucket, prefix: str) -> list[str]:
    """Names of the folders directly below a prefix, in alphabetical order; one request per thousand of them.

    Args:
        bucket: Where.
        prefix: With a slash at its end.

    Raises:
        AwsError: The bucket cannot be listed.
    """
    found: list[str] = []
    query: dict[str, Any] = {"Prefix": prefix, "Delimiter": "/", "MaxKeys": _PAGE}
    while True:
        page = bucket.attempt("ListObjectsV2", prefix, partial(_page, bucket, **query))
        found += [row["Prefix"][len(prefix) :].rstrip("/") for row in page.get("CommonPrefixes", ())]
        if not page.get("IsTruncated"):
            return found
        query["ContinuationToken"] = page["NextContinuationToken"]


def holds_objects(bucket: Bucket, prefix: str) -> bool:
    """Whether there is anything below a prefix. Raises AwsError."""
    page = bucket.attempt("ListObjectsV2", prefix, partial(_page, bucket, Prefix=prefix, MaxKeys=1))
    return bool(page.get("Contents"))


def _page(bucket: Bucket, client: Any, **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = client.list_objects_v2(**bucket.place, **query)
    return page
