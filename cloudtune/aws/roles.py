"""Finds the IAM role that training jobs run as."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

logger = logging.getLogger(__name__)

#: Asked in this order.
ENV_ROLES = ("CLOUDTUNE_ROLE", "AWS_ROLE", "SAGEMAKER_ROLE")
_SERVICE = "sagemaker.amazonaws.com"
#: Roles on a page; IAM gives no more.
_PAGE = 1000
#: In a training job: its name.
_ENV_JOB = "TRAINING_JOB_NAME"
#: SageMaker's notebooks and Studio say here which resource a program runs in.
_METADATA = Path("/opt/ml/metadata/resource-metadata.json")

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/(?:[\w+=,.@/-]*/)?[\w+=,.@-]{1,64}")
_ROLE_NAME = re.compile(r"/?(?:[\w+=,.@/-]*/)?[\w+=,.@-]{1,64}")
_ASSUMED = re.compile(r"arn:aws[a-z-]*:sts::\d{12}:assumed-role/([^/]+)/.*")
_HOW_TO_GET_ONE = (
    "create one in the IAM console (Create role, AWS service, SageMaker - Execution), or have CLOUDTUNE_ROLE name one"
)


class NoExecutionRole(CloudtuneError):
    """There is no role for training jobs, or the one named does not exist; the message says how to get one."""


def get_execution_role(role: str | None = None, aws: Aws | None = None) -> str:
    """ARN of the role that training jobs run as.

    Looked for in this order: ``role``; ``$CLOUDTUNE_ROLE``, ``$AWS_ROLE``, ``$SAGEMAKER_ROLE``; the role of the
    SageMaker notebook, Studio or job that the program runs in; the roles of the account that SageMaker may assume, of
    which those that SageMaker's console has made come first, then the newest.

    Args:
        role: ARN or name (with its path or without) of a role.
        aws: The account to look in; by default that of the environment.

    Raises:
        NoExecutionRole: There is none.
        AwsError: AWS does not answer.
    """
    if role:
        return _named(role, aws, "")
    for variable in ENV_ROLES:
        given = os.environ.get(variable)
        if given:
            return _named(given, aws, f"{variable} names ")
    aws = _aws(aws)
    return _own_role(aws) or _found_role(aws)


def may_be_assumed(role: Mapping[str, Any], service: str = _SERVICE) -> bool:
    """Whether the trust policy of a role, as IAM describes it, lets SageMaker act as it.

    Conditions of the policy are not looked at.
    """
    policy = role.get("AssumeRolePolicyDocument") or {}
    if isinstance(policy, str):
        policy = json.loads(unquote(policy))
    for statement in _list(policy.get("Statement")):
        principal = statement.get("Principal") or {}
        services = ["*"] if principal == "*" else _list(principal.get("Service"))
        actions = [str(action).lower() for action in _list(statement.get("Action"))]
        is_trusted = service in services or "*" in services
        if statement.get("Effect") == "Allow" and is_trusted and {"sts:assumerole", "sts:*", "*"} & set(actions):
            return True
    return False


def describe_role(arn: str, aws: Aws) -> Mapping[str, Any]:
    """What IAM knows of a role.

    Raises:
        NotFound: There is no such role.
        AccessDenied: The caller may not look.
    """
    answer: dict[str, Any] = aws.call("iam", "get_role", RoleName=arn.rpartition("/")[2])
    described: Mapping[str, Any] = answer["Role"]
    return described


def _aws(aws: Aws | None) -> Aws:
    if aws is not None:
        return aws
    from cloudtune.aws.clients import aws_for

    return aws_for()


def _named(given: str, aws: Aws | None, whence: str) -> str:
    """ARN of the role that somebody has named."""
    given = given.strip()
    if given.startswith("arn:"):
        if not _ROLE_ARN.fullmatch(given):
            raise NoExecutionRole(
                f"{whence}{given!r}, which is no ARN of a role; one is arn:aws:iam::123456789012:role/name"
            )
        return given
    if not _ROLE_NAME.fullmatch(given):
        raise NoExecutionRole(f"{whence}{given!r}, which no role can be called; give its ARN or its name")
    aws = _aws(aws)
    name = given.rpartition("/")[2]
    try:
        return str(describe_role(name, aws)["Arn"])
    except NotFound as error:
        raise NoExecutionRole(
            f"{whence}the role {name!r}, which account {aws.account} does not have; give the name or ARN of one that "
            f"exists, or {_HOW_TO_GET_ONE}"
        ) from error
    except AccessDenied:
        arn = f"arn:{aws.partition}:iam::{aws.account}:role/{given.lstrip('/')}"
        logger.warning("the caller may not look at the role %s; it is taken to be %s", name, arn)
        return arn


def _own_role(aws: Aws) -> str | None:
    """The role of the notebook, Studio or job that this program runs in; None: it runs elsewhere."""
    told = _told_by_job(aws) or _told_by_metadata(aws)
    if told is not None:
        return told
    found = _ASSUMED.fullmatch(str(aws.call("sts", "get_caller_identity")["Arn"]))
    if found is None:
        return None
    name = found[1]
    try:
        role = describe_role(name, aws)
    except NotFound:
        return None
    except AccessDenied:
        # Its path is not told. The console gives its roles one, and in a job it is SageMaker that has assumed the role.
        # Anywhere else it may be the role of a person.
        if name.startswith("AmazonSageMaker"):
            return f"arn:{aws.partition}:iam::{aws.account}:role/service-role/{name}"
        return f"arn:{aws.partition}:iam::{aws.account}:role/{name}" if os.environ.get(_ENV_JOB) else None
    return str(role["Arn"]) if may_be_assumed(role) else None


def _told_by_job(aws: Aws) -> str | None:
    """The role of the training job that this program is (such as a tuner that was shipped)."""
    name = os.environ.get(_ENV_JOB)
    if not name:
        return None
    try:
        return str(aws.call("sagemaker", "describe_training_job", TrainingJobName=name)["RoleArn"])
    except (AccessDenied, NotFound) as error:
        logger.info("the role of this job is not told: %s", error)
        return None


def _told_by_metadata(aws: Aws) -> str | None:
    """The role of the notebook instance or the Studio user in whose metadata file we find ourselves."""
    try:
        metadata = json.loads(_METADATA.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if metadata.get("ExecutionRoleArn"):
        return str(metadata["ExecutionRoleArn"])
    domain, user, name = metadata.get("DomainId"), metadata.get("UserProfileName"), metadata.get("ResourceName")
    try:
        if domain and not user and metadata.get("SpaceName"):
            return None  # a shared space may have a role of its own, which STS tells
        if domain:
            role = None
            if user:
                profile = aws.call("sagemaker", "describe_user_profile", DomainId=domain, UserProfileName=user)
                role = profile.get("UserSettings", {}).get("ExecutionRole")
            if role is None:
                described = aws.call("sagemaker", "describe_domain", DomainId=domain)
                role = described.get("DefaultUserSettings", {}).get("ExecutionRole")
        elif name:
            role = aws.call("sagemaker", "describe_notebook_instance", NotebookInstanceName=name).get("RoleArn")
        else:
            return None
    except (AccessDenied, NotFound, InvalidRequest) as error:
        logger.info("the role of this notebook is not told: %s", error)
        return None
    return None if role is None else str(role)


def _found_role(aws: Aws) -> str:
    """The best of the account's roles that SageMaker may assume."""
    try:
        fitting = [role for role in _roles(aws) if may_be_assumed(role)]
    except AccessDenied as error:
        raise NoExecutionRole(
            "no role for training jobs is named, and the caller may not look for one (iam:ListRoles): "
            + _HOW_TO_GET_ONE
        ) from error
    if not fitting:
        raise NoExecutionRole(f"account {aws.account} has no role that SageMaker may assume: {_HOW_TO_GET_ONE}")
    best = max(fitting, key=_preference)
    arn = str(best["Arn"])
    if len(fitting) > 1:
        logger.info(
            "of %d roles that SageMaker may assume, training jobs run as %s; name another by CLOUDTUNE_ROLE",
            len(fitting),
            arn,
        )
    return arn


def _roles(aws: Aws) -> Iterator[Mapping[str, Any]]:
    marker: dict[str, Any] = {}
    while True:
        answer = aws.call("iam", "list_roles", MaxItems=_PAGE, **marker)
        for role in answer.get("Roles", []):
            # Roles that AWS's services keep for themselves are not for jobs.
            if not str(role.get("Path", "/")).startswith("/aws-service-role/"):
                yield role
        if not answer.get("IsTruncated"):
            return
        marker = {"Marker": answer["Marker"]}


def _preference(role: Mapping[str, Any]) -> tuple[int, float, str]:
    name = str(role["RoleName"])
    rank = 2 if name.startswith("AmazonSageMaker-ExecutionRole") else 1 if "sagemaker" in name.lower() else 0
    created = role.get("CreateDate")
    return rank, created.timestamp() if created is not None else 0.0, name


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
