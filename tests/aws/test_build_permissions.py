"""The policies that ``cloudtune image policy`` prints, against what building an image in the account really calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloudtune.aws.buckets import find_bucket
from cloudtune.aws.build_role import build_role, caller_policy, role_policy, trust_policy
from cloudtune.aws.clients import Aws
from cloudtune.aws.codebuild import PROJECT, ImageBuilder, log_group
from cloudtune.aws.ecr import Repository
from cloudtune.aws.image_recipe import LIFECYCLE, REPOSITORY, recipe
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.gate.call_log import Call
from cloudtune.localcloud.services.policy_evaluation import ALLOWED, Policy, evaluate

ACCOUNT, REGION, BUCKET = "123456789012", "us-east-1", "data"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/cloudtune-image-build"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/cloudtune-image-build-2"
#: What docker does when it pulls and pushes: layers and manifests, by the registry's own protocol, which no call shows.
_OF_DOCKER = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
}
#: What CodeBuild does in the name of its role: it fetches the context, and writes the log.
_OF_CODEBUILD = {
    "s3:GetObject",
    "s3:GetObjectVersion",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}
#: What the build's script asks the registry for, by AWS's command line.
_OF_THE_SCRIPT = {"ecr:GetAuthorizationToken", "ecr:DescribeRepositories", "ecr:DescribeImages"}


@pytest.fixture
def aws(build_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """The account, with a bucket and two roles for builds."""
    for name, value in build_cloud.environment().items():
        monkeypatch.setenv(name, value)
    aws = Aws(budget=RateBudget({}))
    aws.call("s3", "create_bucket", Bucket=BUCKET)
    for role in (ROLE, OTHER_ROLE):
        trust = json.dumps(trust_policy())
        aws.call("iam", "create_role", RoleName=role.rpartition("/")[2], AssumeRolePolicyDocument=trust)
    yield aws
    build_cloud.reset()


def needs(call: Call, role: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The rights that a call takes: action, resource, and what conditions ask about."""
    action = f"{call.service}:{call.operation}"
    if call.service == "codebuild":
        yield action, f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/{PROJECT}", {}
        if call.operation in ("CreateProject", "UpdateProject"):
            yield "iam:PassRole", role, {"iam:PassedToService": "codebuild.amazonaws.com"}
    elif action == "ecr:GetAuthorizationToken":
        yield action, "*", {}
    elif call.service == "ecr":
        yield action, f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{call.about or REPOSITORY}", {}
        if call.operation == "CreateRepository":
            yield "ecr:TagResource", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{call.about}", {}
    elif call.service == "logs":
        stream = call.resource.removeprefix(f"{log_group()}/")
        yield action, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group()}:log-stream:{stream}", {}
    elif action == "s3:HeadBucket":
        yield "s3:ListBucket", f"arn:aws:s3:::{call.resource}", {}
    elif call.service == "s3":
        yield action, f"arn:aws:s3:::{call.resource}", {}
    elif action == "iam:GetRole":
        yield action, f"arn:aws:iam::{ACCOUNT}:role/{call.about}", {}
    elif action != "sts:GetCallerIdentity":  # which everybody may
        yield action, "*", {}


def build(aws: Aws, role: str, repository: Repository) -> None:
    """As ``cloudtune image build --codebuild``."""
    arn = build_role(aws, role)
    found = find_bucket(aws, f"s3://{BUCKET}/team")
    repository.ensure(recipe().folder / LIFECYCLE)
    quiet: Any = lambda _: None  # noqa: E731 - two arguments are of this form
    bucket = Bucket(aws, found.name, found.owner)
    ImageBuilder(aws, bucket, repository, arn, found.prefix, tell=quiet, log=quiet, every=0.05).build(recipe())


def actions_of(policy: dict[str, Any]) -> set[str]:
    """All that a policy allows."""
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_callers_policy_is_enough_and_no_right_in_it_is_for_nothing(aws: Aws, build_cloud: LocalCloud) -> None:
    """A build that makes repository and project, and one that brings the project up to date with another role."""
    begun = len(build_cloud.calls())
    repository = Repository(aws, REPOSITORY)
    used: set[str] = set()
    for role in (ROLE, OTHER_ROLE):
        build(aws, role, repository)
        repository.login()  # as `cloudtune image push` does, for docker here
        document = caller_policy(aws, repository, BUCKET, role, "team")
        parsed = Policy.parse("caller", document)
        wanted = [need for call in build_cloud.calls()[begun:] for need in needs(call, role)]
        refused = {need[:2] for need in wanted if evaluate([parsed], *need).verdict != ALLOWED}
        assert refused == set()
        used |= {action for action, *_ in wanted}
        image = {"imageTag": recipe().tag}
        aws.call("ecr", "batch_delete_image", repositoryName=REPOSITORY, imageIds=[image])
        begun = len(build_cloud.calls())
    assert {"codebuild:CreateProject", "codebuild:UpdateProject", "iam:PassRole"} <= used
    assert actions_of(document) - used <= _OF_DOCKER


def test_the_roles_policy_has_what_builds_do_and_no_more(aws: Aws) -> None:
    """CodeBuild and docker act for it, and the script; all of it is about contexts, log and repository."""
    document = role_policy(aws, Repository(aws, REPOSITORY), BUCKET, "team")
    assert actions_of(document) == _OF_DOCKER | _OF_CODEBUILD | _OF_THE_SCRIPT
    everything = [statement["Action"] for statement in document["Statement"] if statement["Resource"] == "*"]
    assert everything == [["ecr:GetAuthorizationToken"]]
