"""What is well with an account, and what is not: one finding per thing, with what to do about it."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cloudtune.aws.buckets import BucketMissing, BucketUnusable, default_bucket_name, find_bucket
from cloudtune.aws.errors import AccessDenied, AwsError, NotFound
from cloudtune.aws.images import NoSuchImage, default_image, is_aws_image, python_of_image
from cloudtune.aws.prices import find_price
from cloudtune.aws.quotas import ENV_QUOTAS, how_to_raise, quota_name, training_quota, types_with_quota

if TYPE_CHECKING:
    from cloudtune.aws.buckets import BucketFound
    from cloudtune.aws.clients import Aws

OK = "ok"
#: Works, but not as well as it could, or nothing could be found out.
WARNING = "warning"
#: Trials would fail.
PROBLEM = "problem"

#: Days after which prices are better asked for again.
_OLD_PRICES = 180
#: So many instances are asked for where the account may have none.
_ASKED_FOR = 4
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.-]+/([^:@]+)(?::([^@]+))?(?:@(sha256:[0-9a-f]+))?")


@dataclass(frozen=True)
class Finding:
    """How one thing stands.

    Args:
        what: The thing, in a word or two: ``role``.
        state: ``ok``, ``warning`` or ``problem``.
        text: How it is, in a line.
        fix: What to do or type; empty where nothing is to be done.
    """

    what: str
    state: str
    text: str
    fix: str = ""


def check_identity(aws: Aws) -> tuple[Finding, str | None]:
    """Who the caller is; its ARN, or None where AWS does not answer: then nothing else can be asked."""
    try:
        identity = aws.call("sts", "get_caller_identity", patience=10)
    except AwsError as error:
        fix = "check with `aws sts get-caller-identity`; `aws configure` or `aws sso login` gives new credentials"
        return Finding("identity", PROBLEM, str(error), fix), None
    arn = str(identity["Arn"])
    return Finding("identity", OK, f"{arn} in account {identity['Account']}"), arn


def check_region(aws: Aws) -> Finding:
    """Whether a region is set."""
    try:
        return Finding("region", OK, aws.region)
    except AwsError as error:
        return Finding("region", PROBLEM, str(error), "export AWS_REGION=us-east-1, or `aws configure set region ...`")


def check_bucket(aws: Aws, given: str | None, create: bool) -> tuple[Finding, BucketFound | None]:
    """Whether the bucket is there and of use."""
    try:
        found = find_bucket(aws, given, create)
    except BucketMissing:
        name = given or default_bucket_name(aws)
        is_default = "" if given else ", the default one,"
        option = f" --bucket {given}" if given else ""
        return (
            Finding(
                "bucket",
                PROBLEM,
                f"{name}{is_default} does not exist in account {aws.account}",
                f"cloudtune doctor --create-bucket{option}",
            ),
            None,
        )
    except BucketUnusable as error:
        return Finding("bucket", PROBLEM, str(error), "--bucket with a bucket of this account and region"), None
    except AccessDenied as error:
        fix = f"create {given or default_bucket_name(aws)} as somebody who may, or name another by --bucket"
        return Finding("bucket", PROBLEM, str(error), fix), None
    news = "created just now, closed to the public" if found.created else "there, and this account's own"
    return Finding("bucket", OK, f"{found.name}: {news}"), found


def check_quotas(aws: Aws, instance_type: str) -> Iterator[Finding]:
    """How many instances of the type may train at once: on demand, spot, and kept by warm pools."""
    for what, consequence, state, options in (
        ("quota", "no job can start on demand", PROBLEM, {}),
        ("spot quota", "no job can start with use_spot=True", WARNING, {"spot": True}),
        ("warm pools", "instances are not kept between jobs", WARNING, {"warm_pool": True}),
    ):
        name = quota_name(instance_type, **options)
        instances = training_quota(aws, instance_type, **options)
        if instances is None and types_with_quota(aws):
            fix = f"see in the Service Quotas console ({aws.region}, Amazon SageMaker) whether the region has the type"
            yield Finding(what, WARNING, f"{name}: AWS's Service Quotas have none of that name", fix)
        elif instances is None:
            fix = (
                "allow the caller servicequotas:ListServiceQuotas and servicequotas:ListAWSDefaultServiceQuotas, or "
                f'write {{"instances": {{"{aws.region}": {{"{name}": 4}}}}}} into a file that {ENV_QUOTAS} names'
            )
            yield Finding(what, WARNING, f"{name}: not known", fix)
        elif instances == 0:
            yield Finding(what, state, f"{name}: 0, so {consequence}", how_to_raise(aws, name, _ASKED_FOR))
        else:
            yield Finding(what, OK, f"{name}: {instances}")


def check_image(aws: Aws, given: str | None, instance_type: str) -> Iterator[Finding]:
    """Whether the image is known, and how its Python and that of this program go together."""
    try:
        uri = given or default_image(instance_type, aws.region)
    except NoSuchImage as error:
        yield Finding("image", PROBLEM, str(error), "--image with an image that this instance type can run")
        return
    found = _ECR.fullmatch(uri)
    if found is not None and found[2] != aws.region:
        yield Finding("image", PROBLEM, f"{uri} is in {found[2]}, and jobs run in {aws.region}", _copy_image(aws))
    elif is_aws_image(uri):
        chosen = "" if given else " (the default for this Python)"
        yield Finding("image", OK, f"{uri}{chosen}")
    elif found is not None and found[1] == aws.account:
        yield _own_image(aws, uri, found)
    else:
        where = "an account that is not yours" if found is not None else "no registry of ECR"
        state = WARNING if found is not None else PROBLEM
        fix = "see that its owner lets your role pull it" if found is not None else _copy_image(aws)
        yield Finding("image", state, f"{uri} is in {where}; whether it can be pulled is not known", fix)
    yield _pythons(uri)


def image_repository(aws: Aws, given: str | None, instance_type: str) -> str | None:
    """ARN of the image's repository in ECR; None: it is in none, or there is no such image."""
    try:
        found = _ECR.fullmatch(given or default_image(instance_type, aws.region))
    except NoSuchImage:
        return None
    return None if found is None else f"arn:{aws.partition}:ecr:{found[2]}:{found[1]}:repository/{found[3]}"


def _copy_image(aws: Aws) -> str:
    return f"push the image to ECR in {aws.region} and pass that by --image"


def _own_image(aws: Aws, uri: str, found: re.Match[str]) -> Finding:
    _, _, repository, tag, digest = found.groups()
    image = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    try:
        aws.call("ecr", "describe_images", repositoryName=repository, imageIds=[image])
    except NotFound:
        return Finding("image", PROBLEM, f"{uri} does not exist", f"docker push {uri}, or pass another by --image")
    except AccessDenied:
        fix = "allow the caller ecr:DescribeImages"
        return Finding("image", WARNING, f"{uri}: the caller may not look whether it exists", fix)
    return Finding("image", OK, f"{uri}: in your own registry")


def _pythons(uri: str) -> Finding:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    there = python_of_image(uri)
    if there is None:
        return Finding("Python", OK, f"{platform.python_version()} here; the image's tag does not tell its own")
    if there == here:
        return Finding("Python", OK, f"{here} here and in the image")
    return Finding(
        "Python",
        WARNING,
        f"{here} here and {there} in the image: scripts may meet another syntax and other packages there",
        f"run cloudtune under Python {there}, or choose an image with {here}",
    )


def check_price(aws: Aws, instance_type: str) -> Finding:
    """Whether the price of the instance type is known, and how old it is."""
    price = find_price(instance_type, aws.region)
    refresh = "cloudtune doctor --refresh-prices"
    if price is None:
        text = f"of {instance_type} in {aws.region}: not known, so costs are not either"
        return Finding("price", WARNING, text, refresh)
    text = f"{instance_type} in {aws.region}: {price.usd_per_hour:.6g} USD an hour"
    if price.date is None:
        return Finding("price", OK, f"{text}, from {price.source}")
    told = f"{text}, as of {price.date}"
    try:
        since = datetime.strptime(price.date, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        return Finding("price", WARNING, f"{told}: how old that is is not known", refresh)
    days = (datetime.now(tz=timezone.utc) - since).days
    if days > _OLD_PRICES:
        return Finding("price", WARNING, f"{told}, {days} days ago", refresh)
    return Finding("price", OK, told)
