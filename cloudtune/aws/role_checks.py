"""Whether jobs and their caller may do what trials need: by what IAM's simulation of policies says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudtune.aws.checks import OK, PROBLEM, WARNING, Finding
from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound
from cloudtune.aws.policies import trust_policy
from cloudtune.aws.rights import (
    BUCKET,
    BUCKET_KEY,
    OF_CALLER,
    OF_EXTRAS,
    OF_LAUNCHER,
    OF_ROLE,
    OF_TUNER,
    READING,
    WRITING,
    Purpose,
    Things,
)
from cloudtune.aws.roles import NoExecutionRole, describe_role, get_execution_role, may_be_assumed
from cloudtune.aws.simulation import denied

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

#: Of jobs without keys of the account's own and without a VPC.
_NO_EXTRAS: Mapping[str, Sequence[str]] = {}
_CALLER = re.compile(r"arn:(aws[a-z-]*):(?:sts|iam)::(\d{12}):(user|assumed-role)/(.+)")
#: In the ARN of each role that IAM Identity Center (AWS SSO) has made.
_IDENTITY_CENTER = ":role/aws-reserved/sso.amazonaws.com/"


def check_role(
    aws: Aws, given: str | None, what: str = "role", option: str = "--role or CLOUDTUNE_ROLE"
) -> tuple[Finding, str | None]:
    """Whether there is a role that SageMaker may assume; its ARN, or None.

    Args:
        aws: Who asks.
        given: ARN or name; None: the one that is found.
        what: How the finding is called.
        option: That names another.
    """
    try:
        arn = get_execution_role(given, aws)
    except NoExecutionRole as error:
        return Finding(what, PROBLEM, str(error), f"{option} with the ARN of a role"), None
    name = arn.rpartition("/")[2]
    if arn.split(":")[4] != aws.account:
        fix = "name a role of the account that the jobs run in"
        return Finding(what, PROBLEM, f"{arn} is of another account than {aws.account}", fix), None
    try:
        role = describe_role(arn, aws)
    except NotFound:
        return Finding(what, PROBLEM, f"{arn} does not exist", f"name one that does, by {option}"), None
    except AccessDenied:
        fix = f"allow the caller iam:GetRole on {arn}"
        return Finding(what, WARNING, f"{arn}: the caller may not look whether it exists", fix), arn
    if str(role["Arn"]) != arn:
        fix = f"{option.partition(' ')[0]} {role['Arn']}"
        return Finding(what, PROBLEM, f"{arn} does not exist, but one of that name with another path", fix), None
    if not may_be_assumed(role):
        fix = f"aws iam update-assume-role-policy --role-name {name} --policy-document '{json.dumps(trust_policy())}'"
        return Finding(what, PROBLEM, f"{arn}: SageMaker may not assume it", fix), arn
    return Finding(what, OK, f"{arn}: SageMaker may assume it"), arn


def check_role_rights(
    aws: Aws,
    role: str,
    bucket: str,
    repository: str | None = None,
    prefix: str = "",
    extras: Mapping[str, Sequence[str]] = _NO_EXTRAS,
) -> Iterator[Finding]:
    """Whether jobs may use the bucket, pull their image, write their log, use their keys and run in their VPC.

    Of all but the bucket only what is missing.

    Args:
        aws: Who asks.
        role: ARN of the jobs' role.
        bucket: Its name.
        repository: ARN of the image's repository; None: that the image is pulled is not asked about.
        prefix: What stands before ``cloudtune/`` in the bucket.
        extras: Their keys and VPC, see :mod:`cloudtune.aws.extras`.
    """
    what = "role's rights"
    things = replace(Things.of(aws, role, bucket, repository), prefix=prefix, extras=extras)
    purposes = [purpose for purpose in OF_ROLE if purpose.name != "image" or repository is not None]
    purposes += OF_EXTRAS
    doubt = Finding(what, WARNING, f"whether jobs may use s3://{bucket} is not known")
    lacking = _lacking(aws, role, [READING, WRITING, *purposes], things, doubt)
    if isinstance(lacking, Finding):
        yield lacking
        return
    wanted = ", ".join(lacking[READING.name] + lacking[WRITING.name])
    grant = _grant(role, bucket, BUCKET.policy(things))
    if lacking[READING.name]:
        text = f"jobs may not read in s3://{bucket} ({wanted}), and so cannot get their code"
        yield Finding(what, PROBLEM, text, grant)
    elif wanted:
        text = (
            f"jobs may not write in s3://{bucket} ({wanted}): their reports would come by the log, minutes late, and "
            "their checkpoints would be SageMaker's own"
        )
        yield Finding(what, WARNING, text, grant)
    else:
        yield Finding(what, OK, f"jobs may read and write in s3://{bucket}")
    for purpose in purposes:
        if lacking[purpose.name]:
            text = f"jobs may not {', '.join(lacking[purpose.name])}: {purpose.without}"
            state = PROBLEM if purpose.is_needed else WARNING
            yield Finding(f"role: {purpose.name}", state, text, _grant(role, purpose.name, purpose.policy(things)))
    if extras and not any(lacking[purpose.name] for purpose in OF_EXTRAS):
        named = " and ".join(_told(extras))
        yield Finding("role: extras", OK, f"jobs may use {named}")


def check_caller_rights(
    aws: Aws,
    caller: str,
    role: str | None,
    bucket: str | None,
    prefix: str = "",
    extras: Mapping[str, Sequence[str]] = _NO_EXTRAS,
) -> Iterator[Finding]:
    """Whether the caller may do all that tuning takes: of what trials do without, only what is missing.

    Nothing where it is not known whose policies tell.
    """
    what = "your rights"
    principal = _principal(aws, caller)
    if principal is None:
        return
    things = replace(Things.of(aws, role, bucket), prefix=prefix, extras=extras)
    purposes = [*OF_CALLER, BUCKET_KEY]
    lacking = _lacking(aws, principal, purposes, things, Finding(what, WARNING, "what the caller may do is not known"))
    if isinstance(lacking, Finding):
        yield lacking
        return
    if not any(lacking[purpose.name] for purpose in OF_CALLER if purpose.is_needed):
        yield Finding(what, OK, "the caller may start and stop jobs, hand them the role and use the bucket")
    for purpose in purposes:
        if lacking[purpose.name]:
            yield Finding(
                what if purpose.is_needed else f"you: {purpose.name}",
                PROBLEM if purpose.is_needed else WARNING,
                f"the caller may not {', '.join(lacking[purpose.name])}: {purpose.without}",
                _have_granted(principal, purpose.name, purpose.policy(things)),
            )


def check_tuner_rights(
    aws: Aws,
    caller: str,
    tuner_role: str,
    trial_role: str | None,
    bucket: str | None,
    prefix: str = "",
    extras: Mapping[str, Sequence[str]] = _NO_EXTRAS,
) -> Iterator[Finding]:
    """Whether a tuner can be launched with a role of its own, and with that role run its trials and carry on.

    Args:
        aws: Who asks.
        caller: ARN of who would launch it.
        tuner_role: ARN of the role of tuners' jobs.
        trial_role: ARN of the role of trials' jobs; None: it is not known, and whether it may be passed is not asked.
        bucket: Of the experiments.
        prefix: What stands before ``cloudtune/`` in it.
        extras: Keys and VPC of the jobs, see :mod:`cloudtune.aws.extras`.
    """
    things = replace(Things.of(aws, trial_role, bucket), tuner_role=tuner_role, prefix=prefix, extras=extras)
    yield from _check_launching(aws, caller, tuner_role, things)
    what = "tuner's rights"
    purposes = [*OF_TUNER, *([READING, WRITING] if bucket is not None else []), *OF_EXTRAS]
    lacking = _lacking(aws, tuner_role, purposes, things, Finding(what, WARNING, "what a tuner may do is not known"))
    if isinstance(lacking, Finding):
        yield lacking
        return
    if not any(lacking[purpose.name] for purpose in purposes if _stops_tuners(purpose) and purpose not in OF_EXTRAS):
        yield Finding(what, OK, "a tuner may run its trials as jobs, hand them their role and use the bucket")
    for purpose in purposes:
        if lacking[purpose.name]:
            is_needed = _stops_tuners(purpose)
            without = purpose.without or "it keeps its log there and its trials' code"
            yield Finding(
                what if is_needed and purpose in OF_TUNER else f"tuner: {purpose.name}",
                PROBLEM if is_needed else WARNING,
                f"tuners may not {', '.join(lacking[purpose.name])}: {without}",
                _grant(tuner_role, f"tuner {purpose.name}", purpose.policy(things)),
            )


def _check_launching(aws: Aws, caller: str, tuner_role: str, things: Things) -> Iterator[Finding]:
    what = "launching"
    launching = [purpose for purpose in OF_LAUNCHER if purpose.is_needed]
    principal = _principal(aws, caller)
    if principal is None:
        return
    doubt = Finding(what, WARNING, "whether the caller may launch tuners is not known")
    lacking = _lacking(aws, principal, launching, things, doubt)
    if isinstance(lacking, Finding):
        yield lacking
        return
    for purpose in launching:
        if lacking[purpose.name]:
            text = f"the caller may not {', '.join(lacking[purpose.name])} of {tuner_role}: {purpose.without}"
            grant = _have_granted(principal, f"launch-{purpose.name}", purpose.policy(things))
            yield Finding(what, PROBLEM, text, grant)
    if not any(lacking.values()):
        yield Finding(what, OK, f"the caller may hand tuners the role {tuner_role}")


def _told(extras: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Keys and subnets, by their ids."""
    keys = dict.fromkeys(arn.rpartition("/")[2] for kind, arns in extras.items() if "key" in kind for arn in arns)
    if keys:
        yield f"the key{'s' * (len(keys) > 1)} {', '.join(keys)}"
    subnets = [arn.rpartition("/")[2] for arn in extras.get("subnet", ())]
    if subnets:
        yield f"the subnet{'s' * (len(subnets) > 1)} {', '.join(subnets)}"


def _stops_tuners(purpose: Purpose) -> bool:
    return purpose.is_needed or purpose is WRITING


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


def _lacking(
    aws: Aws, principal: str, purposes: Sequence[Purpose], things: Things, doubt: Finding
) -> dict[str, list[str]] | Finding:
    """The actions of each purpose, by its name, that the principal may not do.

    Where IAM does not tell: the doubt, with its reason and its remedy.
    """
    wanted = {purpose.name: list(purpose.on(things)) for purpose in purposes}
    try:
        # IAM allows few such calls: all that is done on one thing is asked at once.
        no = set(denied(aws, principal, dict.fromkeys(pair for pairs in wanted.values() for pair in pairs)))
    except (AccessDenied, InvalidRequest, NotFound) as error:
        fix = f"allow the caller iam:SimulatePrincipalPolicy on {principal}"
        return replace(doubt, text=f"{doubt.text}: {error}", fix=fix)
    return {name: list(dict.fromkeys(pair[0] for pair in pairs if pair in no)) for name, pairs in wanted.items()}


def _grant(role: str, name: str, policy: Mapping[str, Any]) -> str:
    """The command that gives a role what it lacks."""
    return (
        f"aws iam put-role-policy --role-name {role.rpartition('/')[2]} --policy-name {_policy_name(name)} "
        f"--policy-document '{json.dumps(policy)}'"
    )


def _have_granted(principal: str, name: str, policy: Mapping[str, Any]) -> str:
    """What somebody else has to do so that a caller gets what it lacks."""
    kind, _, path = principal.rpartition(":")[2].partition("/")
    if _IDENTITY_CENTER in principal:  # such a role can be changed by IAM Identity Center alone
        return (
            f"have an administrator add this to the permission set of {path.rpartition('/')[2]} in IAM Identity "
            f"Center: {json.dumps(policy)}"
        )
    return (
        f"have an administrator run: aws iam put-{kind}-policy --{kind}-name {path.rpartition('/')[2]} --policy-name "
        f"{_policy_name(name)} --policy-document '{json.dumps(policy)}'"
    )


def _policy_name(name: str) -> str:
    words = name.replace("'", "").replace(" ", "-")
    return f"cloudtune-{words}"
