"""Whether jobs and their caller may do what trials need: by what IAM's simulation of policies says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.aws.checks import OK, PROBLEM, WARNING, Finding
from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound
from cloudtune.aws.roles import NoExecutionRole, describe_role, get_execution_role, may_be_assumed

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

_READ = ("s3:GetObject", "s3:ListBucket")
_WRITE = ("s3:PutObject", "s3:DeleteObject")
#: What a tuner does with jobs, and with none in particular.
_JOBS = (
    "sagemaker:CreateTrainingJob",
    "sagemaker:DescribeTrainingJob",
    "sagemaker:StopTrainingJob",
    "sagemaker:AddTags",
)
_ALL_JOBS = ("sagemaker:ListTrainingJobs",)
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
_CALLER = re.compile(r"arn:(aws[a-z-]*):(?:sts|iam)::(\d{12}):(user|assumed-role)/(.+)")


def check_role(aws: Aws, given: str | None) -> tuple[Finding, str | None]:
    """Whether there is a role that SageMaker may assume; its ARN, or None."""
    try:
        arn = get_execution_role(given, aws)
    except NoExecutionRole as error:
        return Finding("role", PROBLEM, str(error), "--role, or CLOUDTUNE_ROLE, with the ARN of a role"), None
    name = arn.rpartition("/")[2]
    if arn.split(":")[4] != aws.account:
        fix = "name a role of the account that the jobs run in"
        return Finding("role", PROBLEM, f"{arn} is of another account than {aws.account}", fix), None
    try:
        role = describe_role(arn, aws)
    except NotFound:
        return Finding(
            "role", PROBLEM, f"{arn} does not exist", "name one that does, by --role or CLOUDTUNE_ROLE"
        ), None
    except AccessDenied:
        fix = f"allow the caller iam:GetRole on {arn}"
        return Finding("role", WARNING, f"{arn}: the caller may not look whether it exists", fix), arn
    if str(role["Arn"]) != arn:
        fix = f"--role {role['Arn']}"
        return Finding("role", PROBLEM, f"{arn} does not exist, but one of that name with another path", fix), None
    if not may_be_assumed(role):
        fix = f"aws iam update-assume-role-policy --role-name {name} --policy-document '{json.dumps(_TRUST)}'"
        return Finding("role", PROBLEM, f"{arn}: SageMaker may not assume it", fix), arn
    return Finding("role", OK, f"{arn}: SageMaker may assume it"), arn


def check_role_rights(aws: Aws, role: str, bucket: str) -> Finding:
    """Whether jobs may read and write in the bucket."""
    what = "role's rights"
    try:
        denied = _denied(aws, role, _on_bucket(aws, bucket))
    except (AccessDenied, InvalidRequest, NotFound) as error:
        fix = f"allow the caller iam:SimulatePrincipalPolicy on {role}"
        text = f"whether jobs may use s3://{bucket} is not known: {error}"
        return Finding(what, WARNING, text, fix)
    if not denied:
        return Finding(what, OK, f"jobs may read and write in s3://{bucket}")
    wanted = ", ".join(denied)
    if set(denied) & set(_READ):
        text = f"jobs may not read in s3://{bucket} ({wanted}), and so cannot get their code"
        return Finding(what, PROBLEM, text, _grant(aws, role, bucket))
    text = (
        f"jobs may not write in s3://{bucket} ({wanted}): their reports would come by the log, minutes late, and their "
        "checkpoints would be SageMaker's own"
    )
    return Finding(what, WARNING, text, _grant(aws, role, bucket))


def check_caller_rights(aws: Aws, caller: str, role: str | None, bucket: str | None) -> Iterator[Finding]:
    """Whether the caller may start jobs, hand them the role, and use the bucket; nothing where it is not known."""
    what = "your rights"
    principal = _principal(aws, caller)
    if principal is None:
        return
    job = f"arn:{aws.partition}:sagemaker:{aws.region}:{aws.account}:training-job/cloudtune-doctor"
    wanted = {**dict.fromkeys(_JOBS, job), **dict.fromkeys(_ALL_JOBS, "*")}
    if role is not None:
        wanted["iam:PassRole"] = role
    if bucket is not None:
        wanted.update(_on_bucket(aws, bucket))
    try:
        denied = _denied(aws, principal, wanted)
    except (AccessDenied, InvalidRequest, NotFound) as error:
        fix = f"allow the caller iam:SimulatePrincipalPolicy on {principal}"
        yield Finding(what, WARNING, f"what the caller may do is not known: {error}", fix)
        return
    if denied:
        on = "".join(f", {thing}" for thing in (role, bucket and f"s3://{bucket}") if thing)
        fix = f"have an administrator allow {principal} these on its training jobs{on}"
        yield Finding(what, PROBLEM, f"the caller may not {', '.join(denied)}", fix)
    else:
        yield Finding(what, OK, "the caller may start and stop jobs, hand them the role and use the bucket")


def _principal(aws: Aws, caller: str) -> str | None:
    """ARN of the user or role whose policies tell what the caller may do; None: none do, as for an account's root."""
    found = _CALLER.fullmatch(caller)
    if found is None:
        return None
    partition, account, kind, name = found.groups()
    if kind == "user":
        return f"arn:{partition}:iam::{account}:user/{name}"
    try:
        return str(describe_role(name.partition("/")[0], aws)["Arn"])
    except (AccessDenied, NotFound):
        return None


def _on_bucket(aws: Aws, bucket: str) -> dict[str, str]:
    """What is done in a bucket -> on which resource."""
    arn = f"arn:{aws.partition}:s3:::{bucket}"
    return {action: arn if action == "s3:ListBucket" else f"{arn}/cloudtune/doctor" for action in (*_READ, *_WRITE)}


def _denied(aws: Aws, principal: str, wanted: Mapping[str, str]) -> list[str]:
    """Those of the actions that the principal may not do on their resources.

    Asked at once, for IAM allows few such calls: it answers for every action on every resource.
    """
    marker: dict[str, Any] = {}
    decisions: dict[tuple[str, str], bool] = {}
    while True:
        answer = aws.call(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=principal,
            ActionNames=list(wanted),
            ResourceArns=list(dict.fromkeys(wanted.values())),
            **marker,
        )
        for result in answer.get("EvaluationResults", []):
            action = str(result["EvalActionName"])
            decisions[action, str(result.get("EvalResourceName"))] = result.get("EvalDecision") == "allowed"
            # A result for several resources has them within it.
            for one in result.get("ResourceSpecificResults") or []:
                decisions[action, str(one.get("EvalResourceName"))] = one.get("EvalResourceDecision") == "allowed"
        if not answer.get("IsTruncated"):
            return [action for action, resource in wanted.items() if not decisions.get((action, resource), False)]
        marker = {"Marker": answer["Marker"]}


def _grant(aws: Aws, role: str, bucket: str) -> str:
    """The command that gives a role what it lacks."""
    arn = f"arn:{aws.partition}:s3:::{bucket}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": f"{arn}/*"},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": arn},
        ],
    }
    name = role.rpartition("/")[2]
    return (
        f"aws iam put-role-policy --role-name {name} --policy-name cloudtune-{bucket} "
        f"--policy-document '{json.dumps(policy)}'"
    )
