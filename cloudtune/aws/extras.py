"""What only some jobs have and rights depend on: keys of the account's own that encrypt, and a VPC."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.aws.checks import OK, PROBLEM, WARNING, Finding
from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
_KEY_ID = re.compile(r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
#: Keys that AWS manages for each account: whoever may use the service may use them.
_OF_AWS = "alias/aws/"
#: What S3 says of a bucket without a setting of its own: it then encrypts with keys of S3's.
_NO_SETTING = "ServerSideEncryptionConfigurationNotFoundError"


@dataclass(frozen=True)
class Named:
    """What a user has said of keys and VPC.

    Args:
        kms_key: Encrypts what is written to the bucket: ``kms_key`` of the backend or launcher.
        output_kms_key: Encrypts what SageMaker uploads: ``output_kms_key`` of the job.
        volume_kms_key: Encrypts the disks: ``volume_kms_key`` of the job.
        subnets: Of the job.
        security_groups: ``security_group_ids`` of the job.
    """

    kms_key: str | None = None
    output_kms_key: str | None = None
    volume_kms_key: str | None = None
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()


def look_at_extras(aws: Aws, named: Named, bucket: str | None) -> tuple[list[Finding], dict[str, Sequence[str]]]:
    """Which keys and which network the jobs have; ARNs by kind, as :class:`~cloudtune.aws.rights.Things` takes them.

    Where no key is named for the bucket, its own setting counts.

    Args:
        aws: Account and region.
        named: What the user has said.
        bucket: Name of the bucket of the experiments; None: there is none.
    """
    findings: list[Finding] = []
    arns: dict[str, Sequence[str]] = {}
    kms_key, whose = named.kms_key, "--kms-key"
    if kms_key is None and bucket is not None:
        whose = f"the encryption of s3://{bucket}"
        finding, kms_key = _key_of_bucket(aws, bucket)
        if finding is not None:
            findings.append(finding)
    # Without a key of its own, output has that which is written to the bucket with.
    output, whose_output = (
        (named.output_kms_key, "--output-kms-key") if named.output_kms_key else (named.kms_key, "--kms-key")
    )
    for kind, key, option in (
        ("bucket key", kms_key, whose),
        ("output key", output, whose_output),
        ("volume key", named.volume_kms_key, "--volume-kms-key"),
    ):
        if key is None:
            continue
        finding, arn = key_arn(aws, key, kind, option)
        if finding is not None and finding.text not in [one.text for one in findings]:
            findings.append(finding)
        if arn is not None:
            arns[kind] = [arn]
    findings += _network(aws, named, arns)
    return findings, arns


def key_arn(aws: Aws, given: str, what: str, whose: str) -> tuple[Finding | None, str | None]:
    """ARN of a key that is named by its ARN, id or alias, as policies name it.

    None without a finding: it is a key that AWS manages, which takes no right of its own.

    Args:
        aws: Account and region.
        given: How it is named.
        what: How a finding is called.
        whose: Who has named it so, for the finding.
    """
    if _OF_AWS in given:
        return None, None
    if _KEY_ARN.fullmatch(given):
        return None, given
    try:
        described = aws.call("kms", "describe_key", KeyId=given)["KeyMetadata"]
    except AccessDenied:
        if _KEY_ID.fullmatch(given):
            return None, f"arn:{aws.partition}:kms:{aws.region}:{aws.account}:key/{given}"
        fix = "name the key by its ARN, or allow the caller kms:DescribeKey on it"
        return Finding(what, WARNING, f"{given} of {whose}: the caller may not look which key it is", fix), None
    except (NotFound, InvalidRequest) as error:
        fix = "name a key of this account and region; `aws kms list-aliases` shows what there is"
        return Finding(what, PROBLEM, f"{given} of {whose}: {error}", fix), None
    arn = str(described["Arn"])
    if described.get("KeyManager") == "AWS":
        return None, None
    if described.get("KeyState", "Enabled") != "Enabled":
        fix = f"see that {arn} is enabled (`aws kms enable-key`, `aws kms cancel-key-deletion`), or name another key"
        return Finding(what, PROBLEM, f"{given} of {whose} is {described['KeyState']}", fix), None
    return None, arn


def _key_of_bucket(aws: Aws, bucket: str) -> tuple[Finding | None, str | None]:
    """The key of the account's own with which a bucket encrypts, if it has one."""
    try:
        answer = aws.call("s3", "get_bucket_encryption", Bucket=bucket, ExpectedBucketOwner=aws.account)
    except AccessDenied:
        fix = f"allow the caller s3:GetEncryptionConfiguration on arn:{aws.partition}:s3:::{bucket}"
        text = f"s3://{bucket}: the caller may not look whether it has a KMS key, so rights on one are not looked at"
        return Finding("encryption", WARNING, text, fix), None
    except NotFound as error:
        if error.code != _NO_SETTING:
            raise
        return None, None
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    for rule in rules:
        setting: Mapping[str, str] = rule.get("ApplyServerSideEncryptionByDefault") or {}
        if setting.get("SSEAlgorithm", "").startswith("aws:kms") and setting.get("KMSMasterKeyID"):
            key = setting["KMSMasterKeyID"]
            return Finding("encryption", OK, f"s3://{bucket} encrypts with {key}"), key
    return None, None


def _network(aws: Aws, named: Named, arns: dict[str, Sequence[str]]) -> list[Finding]:
    if not named.subnets and not named.security_groups:
        return []
    if not named.subnets or not named.security_groups:
        lacking = "--security-group" if named.subnets else "--subnet"
        return [Finding("VPC", PROBLEM, "SageMaker wants subnets and security groups, or neither", f"add {lacking}")]
    here = f"arn:{aws.partition}:ec2:{aws.region}:{aws.account}:"
    arns["network"] = ["*"]
    arns["network interface"] = [f"{here}network-interface/*"]
    arns["subnet"] = [f"{here}subnet/{one}" for one in dict.fromkeys(named.subnets)]
    arns["security group"] = [f"{here}security-group/{one}" for one in dict.fromkeys(named.security_groups)]
    return []
