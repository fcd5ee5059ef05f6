"""The role with which CodeBuild builds the image, and the policies that role and caller need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cloudtune.aws.codebuild import context_prefix, log_group, project_arn
from cloudtune.aws.errors import AccessDenied, NotFound
from cloudtune.aws.roles import describe_role, may_be_assumed
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.aws.ecr import Repository

#: Environment: the role, by ARN or name.
ENV_BUILD_ROLE = "CLOUDTUNE_BUILD_ROLE"
#: The role that is looked for where none is named.
DEFAULT_BUILD_ROLE = "cloudtune-image-build"
_SERVICE = "codebuild.amazonaws.com"

_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
_PUSH = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"]
_LOOK = ["ecr:DescribeImages", "ecr:DescribeRepositories"]
_LOG_IN = ["ecr:GetAuthorizationToken"]
_MAKE = ["ecr:CreateRepository", "ecr:PutLifecyclePolicy"]
_TAG = ["ecr:TagResource"]
_BUILD = [
    "codebuild:CreateProject",
    "codebuild:UpdateProject",
    "codebuild:BatchGetProjects",
    "codebuild:StartBuild",
    "codebuild:BatchGetBuilds",
    "codebuild:ListBuildsForProject",
]
#: What ``cloudtune image`` itself calls, beside what everybody does who tunes: not what docker and CodeBuild call.
CALLED = frozenset([*_LOOK, *_LOG_IN, *_MAKE, *_BUILD])


class NoBuildRole(CloudtuneError):
    """CodeBuild has no role to work with; the message says how to get one."""


def build_role(aws: Aws, given: str | None = None) -> str:
    """ARN of the role for the build: the one given, that of ``$CLOUDTUNE_BUILD_ROLE``, or ``cloudtune-image-build``.

    Args:
        aws: The account.
        given: ARN or name.

    Raises:
        NoBuildRole: There is none, or CodeBuild may not assume it.
        AwsError: AWS does not answer.
    """
    arn = role_arn(aws, given)
    wanted = arn.partition(":role/")[2]
    try:
        role = describe_role(arn, aws)
    except NotFound:
        raise NoBuildRole(
            f"account {aws.account} has no role {wanted}, with which CodeBuild could build the image; `cloudtune image "
            f"policy` prints the policies of one: create it as {DEFAULT_BUILD_ROLE}, or name another with --role"
        ) from None
    except AccessDenied:  # CodeBuild will say whether it may use it
        return arn
    if not may_be_assumed(role, _SERVICE):
        raise NoBuildRole(
            f"the role {wanted} may not be assumed by CodeBuild; give it the trust policy that `cloudtune image "
            "policy` prints"
        )
    return str(role["Arn"])


def role_arn(aws: Aws, given: str | None = None) -> str:
    """ARN of the role that :func:`build_role` looks for, whether it exists or not. Raises AwsError."""
    wanted = given or os.environ.get(ENV_BUILD_ROLE) or DEFAULT_BUILD_ROLE
    return wanted if wanted.startswith("arn:") else f"arn:{aws.partition}:iam::{aws.account}:role/{wanted}"


def trust_policy() -> dict[str, Any]:
    """Lets CodeBuild assume the role."""
    return _policy({"Effect": "Allow", "Principal": {"Service": _SERVICE}, "Action": "sts:AssumeRole"})


def role_policy(aws: Aws, repository: Repository, bucket: str, prefix: str = "") -> dict[str, Any]:
    """What the build does, and no more."""
    group = f"arn:{aws.partition}:logs:{aws.region}:{aws.account}:log-group:{log_group()}"
    return _policy(
        _allow(_LOG_IN, "*"),  # AWS knows it on nothing in particular
        _allow([*_PULL, *_PUSH, *_LOOK], repository.arn),
        _allow(["s3:GetObject", "s3:GetObjectVersion"], _contexts(aws, bucket, prefix)),
        _allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [group, f"{group}:*"]),
    )


def caller_policy(aws: Aws, repository: Repository, bucket: str, role: str, prefix: str = "") -> dict[str, Any]:
    """What whoever runs ``cloudtune image`` needs: for building in the account, and for pushing from here."""
    group = f"arn:{aws.partition}:logs:{aws.region}:{aws.account}:log-group:{log_group()}"
    passing = _allow(["iam:PassRole"], role)
    passing["Condition"] = {"StringEquals": {"iam:PassedToService": _SERVICE}}
    return _policy(
        _allow(_LOG_IN, "*"),
        _allow([*_PULL, *_PUSH, *_LOOK, *_MAKE, *_TAG], repository.arn),
        _allow(_BUILD, project_arn(aws)),
        _allow(["s3:PutObject"], _contexts(aws, bucket, prefix)),
        _allow(["s3:ListBucket"], f"arn:{aws.partition}:s3:::{bucket}"),
        _allow(["logs:GetLogEvents"], f"{group}:log-stream:*"),
        _allow(["iam:GetRole"], role),
        passing,
    )


def _contexts(aws: Aws, bucket: str, prefix: str) -> str:
    before = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return f"arn:{aws.partition}:s3:::{bucket}/{before}{context_prefix()}*"


def _allow(actions: list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
