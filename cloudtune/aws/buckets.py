"""Finds the S3 bucket that experiments use, and makes sure that it is the account's own and in its region."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AccessDenied, AwsError, Conflict, InvalidRequest, NotFound
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

logger = logging.getLogger(__name__)

_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: What AWS gives the answer to a look at a bucket in another region.
_ELSEWHERE = frozenset({"301", "307", "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"})


class BucketUnusable(CloudtuneError):
    """The bucket is missing, in another region, owned by someone else or closed; the message says what to do."""


class BucketMissing(BucketUnusable):
    """There is no such bucket."""


@dataclass(frozen=True)
class BucketFound:
    """A bucket of the account's own, in the region of its session.

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
    return f"sagemaker-{aws.region}-{aws.account}"


def find_bucket(aws: Aws, given: str | None = None, create: bool = False) -> BucketFound:
    """The bucket named, or the account's default one.

    Args:
        aws: The account and its region.
        given: Name, or ``s3://name/prefix``; by default the account's default bucket.
        create: Create it if it is missing, closed to the public. Several programs may do so at once.

    Raises:
        BucketMissing: There is no such bucket, and ``create`` is not set.
        BucketUnusable: It is of no use: of another region or account, or closed to the caller.
        AwsError: AWS does not answer, or does not let the bucket be created.
    """
    name, prefix = parse_bucket(given) if given else (default_bucket_name(aws), "")
    created = False
    if not _is_there(aws, name):
        if not create:
            raise BucketMissing(
                f"there is no bucket {name} in account {aws.account}; create it with "
                f"`cloudtune doctor --create-bucket --bucket {name}`, or name one that exists"
            )
        created = _create(aws, name)
    return BucketFound(name, aws.account, prefix, created)


def parse_bucket(given: str) -> tuple[str, str]:
    """Name and prefix of ``name`` or ``s3://name/prefix``.

    Raises:
        BucketUnusable: No bucket can be called so.
    """
    name, _, prefix = given.removeprefix("s3://").partition("/")
    if not _NAME.fullmatch(name) or (prefix and not given.startswith("s3://")):
        raise BucketUnusable(
            f"{given!r} names no S3 bucket; give a name (3 to 63 small letters, digits, dots and dashes) or "
            "s3://name/prefix"
        )
    return name, prefix.strip("/")


def _is_there(aws: Aws, name: str) -> bool:
    """Whether the account has the bucket, in this region.

    Raises:
        BucketUnusable: It is another's, elsewhere or closed.
    """
    try:
        answer = aws.call("s3", "head_bucket", Bucket=name, ExpectedBucketOwner=aws.account)
    except NotFound:
        return False
    except AccessDenied as error:
        raise BucketUnusable(_why_denied(aws, name)) from error
    except AwsError as error:
        if error.code not in _ELSEWHERE:
            raise
        raise BucketUnusable(_elsewhere(aws, name, _region(aws, name))) from error
    region = _told_region(answer) or _region(aws, name)
    if region is not None and region != aws.region:
        raise BucketUnusable(_elsewhere(aws, name, region))
    return True


def _why_denied(aws: Aws, name: str) -> str:
    """S3 answers alike whether a bucket is another's or closed to us. Without the owner's name it may answer more."""
    try:
        aws.call("s3", "head_bucket", Bucket=name)
    except (AccessDenied, NotFound, InvalidRequest):
        return (
            f"bucket {name} is closed to account {aws.account}: it belongs to someone else, or the caller lacks the "
            f"right s3:ListBucket on arn:{aws.partition}:s3:::{name}; grant it, or name another bucket"
        )
    return (
        f"bucket {name} does not belong to account {aws.account} but to someone else, who could read and change all "
        "that experiments keep there; name a bucket of your own"
    )


def _elsewhere(aws: Aws, name: str, region: str | None) -> str:
    there = region or "another region"
    return (
        f"bucket {name} is in {there}, and jobs run in {aws.region}, which would be slow and billed as transfer; name "
        f"a bucket in {aws.region}, or work in the bucket's region (AWS_REGION={region or '...'})"
    )


def _region(aws: Aws, name: str) -> str | None:
    """Where the bucket is; None: we are not told."""
    try:
        answer = aws.call("s3", "get_bucket_location", Bucket=name)
    except (AccessDenied, NotFound, InvalidRequest):
        return None
    told = answer.get("LocationConstraint")
    # AWS keeps two names from before there were many regions.
    return {None: "us-east-1", "EU": "eu-west-1"}.get(told) or str(told)


def _told_region(answer: dict[str, Any]) -> str | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    told = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    return None if told is None else str(told)


def _create(aws: Aws, name: str) -> bool:
    """Creates the bucket, unless another program has done so in the meantime; whether it was us."""
    place: dict[str, Any] = {}
    if aws.region != "us-east-1":  # which the API has no name for here
        place = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    created = True
    try:
        aws.call("s3", "create_bucket", Bucket=name, **place)
    except Conflict as error:
        if not _is_there(aws, name):
            raise BucketUnusable(
                f"bucket {name} cannot be created: its name is taken, or it is being deleted; name another bucket, or "
                "try again in a minute"
            ) from error
        created = False
    try:
        aws.call(
            "s3",
            "put_public_access_block",
            Bucket=name,
            ExpectedBucketOwner=aws.account,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
    except AccessDenied as error:  # AWS has closed new buckets by itself since April 2023
        logger.warning("bucket %s was created, but could not be closed to the public once more: %s", name, error)
    if created:
        logger.info("created the bucket %s in %s, closed to the public", name, aws.region)
    return created
