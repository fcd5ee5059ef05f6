"""Finds the S3 bucket that experiments use, and makes sure that it is the account's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws


class BucketUnusable(CloudtuneError):
    """The bucket is missing, in another region, owned by someone else or closed; the message says what to do."""


@dataclass(frozen=True)
class BucketFound:
    """A bucket that is there, in the region of the account's session.

    Args:
        name: Of the bucket.
        owner: The account that owns it, for ``ExpectedBucketOwner``.
        prefix: What stood after the bucket in an ``s3://`` path, without slashes at its ends.
        created: It was created just now.
    """

    name: str
    owner: str
    prefix: str = ""
    created: bool = False


def default_bucket_name(aws: Aws) -> str:
    """``sagemaker-<region>-<account>``: the bucket that SageMaker's own tools use by default."""
    raise NotImplementedError


def find_bucket(aws: Aws, given: str | None = None, create: bool = False) -> BucketFound:
    """The bucket named, or the account's default one.

    Args:
        aws: The account and its region.
        given: Name, or ``s3://name/prefix``; by default the account's default bucket.
        create: Create it, privately, if it is missing.

    Raises:
        BucketUnusable: It cannot be used.
    """
    raise NotImplementedError
