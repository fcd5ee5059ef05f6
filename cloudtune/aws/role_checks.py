"""Whether jobs and their caller may do what trials need: by what IAM's simulation of policies says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from cloudtune.aws.checks import OK, PROBLEM, WARNING, Finding
from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound
from cloudtune.aws.roles import NoExecutionRole, describe_role, get_execution_role, may_be_assumed

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

_READ = ("s3:GetObject", "s3:ListBucket")
_WRITE = ("s3:PutObject", "s3:DeleteObject")
_OF_BUCKETS = frozenset({"s3:ListBucket"})
#: What a tuner does with jobs.
_TUNER = (
    "sagemaker:CreateTrainingJob",
    "sagemaker:DescribeTrainingJob",
    "sagemaker:ListTrainingJobs",
    "sagemaker:StopTrainingJob",
    "sagemaker:AddTags",
)
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
        denied = _denied(aws, role, (*_READ, *_WRITE), bucket)
    except (AccessDenied, InvalidRequest, NotFound):
        fix = f"allow the caller iam:SimulatePrincipalPolicy on {role}"
        text = f"whether jobs may use s3://{bucket} is not known: the caller may not ask"
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
    try:
        denied = _denied(aws, principal, _TUNER)
        if role is not None:
            denied += _denied(aws, principal, ("iam:PassRole",), resource=role)
        if bucket is not None:
            denied += _denied(aws, principal, (*_READ, *_WRITE), bucket)
    except (AccessDenied, InvalidRequest, NotFound):
        fix = f"allow the caller iam:SimulatePrincipalPolicy on {principal}"
        yield Finding(what, WARNING, "what the caller may do is not known: it may not ask", fix)
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


def _denied(
    aws: Aws, principal: str, actions: Iterable[str], bucket: str | None = None, resource: str | None = None
) -> list[str]:
    """Those of the actions that the principal may not do on the bucket and its objects, or on the resource."""
    on_objects = [action for action in actions if action not in _OF_BUCKETS]
    on_bucket = [action for action in actions if action in _OF_BUCKETS]
    if bucket is None:
        return list(_simulated(aws, principal, on_objects, resource))
    arn = f"arn:{aws.partition}:s3:::{bucket}"
    return [
        *_simulated(aws, principal, on_objects, f"{arn}/cloudtune/doctor"),
        *_simulated(aws, principal, on_bucket, arn),
    ]


def _simulated(aws: Aws, principal: str, actions: list[str], resource: str | None) -> Iterator[str]:
    if not actions:
        return
    resources: dict[str, Any] = {} if resource is None else {"ResourceArns": [resource]}
    marker: dict[str, Any] = {}
    while True:
        answer = aws.call(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=principal,
            ActionNames=actions,
            **resources,
            **marker,
        )
        for result in answer.get("EvaluationResults", []):
            if result.get("EvalDecision") != "allowed":
                yield str(result["EvalActionName"])
        if not answer.get("IsTruncated"):
            return
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
