"""Images that CodeBuild builds: the project, the build that really runs, its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cloudtune.aws.build_role import NoBuildRole, build_role, caller_policy, role_policy, trust_policy
from cloudtune.aws.clients import Aws
from cloudtune.aws.codebuild import PROJECT, BuildFailed, ImageBuilder
from cloudtune.aws.ecr import Repository
from cloudtune.aws.image_recipe import LIFECYCLE, Recipe, recipe
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from tests.container.fake_tools import FakeTools

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/cloudtune-image-build"


@pytest.fixture
def aws(build_cloud: LocalCloud, bench: FakeTools, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in build_cloud.environment().items():
        monkeypatch.setenv(name, value)
    yield Aws(budget=RateBudget({}))
    bench.fail()
    bench.hold()
    bench.forget()
    build_cloud.reset()


class Watched:
    """A builder, and what it tells."""

    def __init__(self, aws: Aws, role: str = ROLE) -> None:
        self.told: list[str] = []
        self.log: list[str] = []
        self.recipe: Recipe = recipe()
        self.repository = Repository(aws, "cloudtune-tuner")
        self.repository.ensure(self.recipe.folder / LIFECYCLE)
        if not aws.call("s3", "list_buckets")["Buckets"]:
            aws.call("s3", "create_bucket", Bucket="data")
        self._builder = ImageBuilder(
            aws,
            Bucket(aws, "data", ACCOUNT),
            self.repository,
            role,
            "some/prefix",
            tell=self._tell,
            log=self.log.append,
            every=0.05,
        )
        self.first_word = threading.Event()

    def build(self, cancel: threading.Event | None = None) -> str:
        return self._builder.build(self.recipe, cancel)

    def _tell(self, line: str) -> None:
        self.told.append(line)
        self.first_word.set()


def builds(aws: Aws) -> list[dict[str, Any]]:
    ids = aws.call("codebuild", "list_builds_for_project", projectName=PROJECT)["ids"]
    found: list[dict[str, Any]] = aws.call("codebuild", "batch_get_builds", ids=ids)["builds"]
    return found


def project(aws: Aws) -> dict[str, Any]:
    found: dict[str, Any] = aws.call("codebuild", "batch_get_projects", names=[PROJECT])["projects"][0]
    return found


def test_an_image_is_built_in_the_account_and_pushed(aws: Aws, bench: FakeTools) -> None:
    """From nothing: context, project, build; its phases are told and its log is shown, and then the image is there."""
    watched = Watched(aws)
    uri = watched.build()
    assert uri == watched.repository.uri(watched.recipe.tag)
    assert watched.repository.has(watched.recipe.tag)
    assert watched.told[0] == f"created the CodeBuild project {PROJECT}"
    assert [line.partition(":")[0] for line in watched.told[2:]] == [
        "submitted", "queued", "provisioning", "download source", "install", "pre build", "build", "post build",
        "finalizing",
    ]  # fmt: skip
    assert watched.log[0] == "Running command sh ./build_and_push.sh"
    assert watched.log[-1] == uri
    (built,) = builds(aws)
    assert built["source"]["location"] == f"data/some/prefix/cloudtune/image/{watched.recipe.tag}/context.zip"
    assert built["environment"]["privilegedMode"] is True
    assert built["serviceRole"] == ROLE
    assert any(line.startswith("docker buildx build") for line in bench.calls())


def test_a_build_that_fails_says_where_and_shows_its_last_lines(aws: Aws, bench: FakeTools) -> None:
    """One sentence with CodeBuild's reason; the lines say what docker said. The next try is a new build."""
    bench.fail("docker buildx build")
    watched = Watched(aws)
    with pytest.raises(BuildFailed, match="failed in its phase build: Error while executing command") as raised:
        watched.build()
    assert "\n" not in str(raised.value)
    assert raised.value.last_lines[-1].startswith("build_and_push.sh: docker could not build the image")
    bench.fail()
    watched.build()
    assert [build["buildStatus"] for build in builds(aws)] == ["SUCCEEDED", "FAILED"]


def test_a_second_call_follows_the_build_that_runs(aws: Aws, bench: FakeTools) -> None:
    """The first one's watching was ended; its build goes on, and nobody starts another."""
    bench.hold("docker push")
    first, cancel = Watched(aws), threading.Event()
    cancel.set()
    with pytest.raises(BuildFailed, match="goes on without being watched; run the same again"):
        first.build(cancel)
    second = Watched(aws)
    thread = threading.Thread(target=second.build)
    thread.start()
    assert second.first_word.wait(60)
    bench.hold()
    thread.join()
    assert second.told[0].startswith(f"CodeBuild builds {second.recipe.tag} already, as {PROJECT}:")
    assert second.repository.has(second.recipe.tag)
    assert len(builds(aws)) == 1


def test_the_project_is_brought_up_to_date_only_where_it_differs(aws: Aws, build_cloud: LocalCloud) -> None:
    """What the user has added to it stays; a role that has changed is changed."""
    Watched(aws).build()
    aws.call("codebuild", "update_project", name=PROJECT, description="changed", timeoutInMinutes=90)
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    aws.call("ecr", "batch_delete_image", repositoryName="cloudtune-tuner", imageIds=[{"imageTag": recipe().tag}])
    again = Watched(aws, other)
    again.build()
    assert again.told[0] == f"brought the CodeBuild project {PROJECT} up to date"
    assert (project(aws)["serviceRole"], project(aws)["timeoutInMinutes"]) == (other, 60)
    updates = build_cloud.call_counts()["codebuild:UpdateProject"]
    Watched(aws, other).build()
    assert build_cloud.call_counts()["codebuild:UpdateProject"] == updates
    assert build_cloud.call_counts()["codebuild:CreateProject"] == 1


def test_two_who_start_at_once_share_the_project(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second finds it made between looking and making."""
    call = Aws.call

    def late(self: Aws, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "create_project":
            call(self, service, operation, **params)
        return call(self, service, operation, **params)

    monkeypatch.setattr(Aws, "call", late)
    watched = Watched(aws)
    watched.build()
    assert watched.repository.has(watched.recipe.tag)


def test_a_log_that_cannot_be_read_ends_no_build(aws: Aws, build_cloud: LocalCloud) -> None:
    """The build's state is known all the same."""
    build_cloud.faults.add("access_denied", operation="logs:GetLogEvents")
    watched = Watched(aws)
    watched.build()
    assert watched.log == []


def test_a_build_that_leaves_no_image_is_a_failure(aws: Aws, bench: FakeTools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Success is what ECR has, not what CodeBuild says."""
    watched = Watched(aws)
    monkeypatch.setattr(Repository, "has", lambda self, tag: False)
    with pytest.raises(BuildFailed, match="has succeeded without"):
        watched.build()


def test_the_role_is_given_found_or_asked_for(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument, environment or its usual name; one that CodeBuild may not assume is of no use."""
    with pytest.raises(NoBuildRole, match=r"no role cloudtune-image-build.*`cloudtune image policy`"):
        build_role(aws)
    trust = trust_policy()
    aws.call("iam", "create_role", RoleName="cloudtune-image-build", AssumeRolePolicyDocument=json.dumps(trust))
    aws.call("iam", "create_role", RoleName="mine", AssumeRolePolicyDocument=json.dumps(trust))
    trust["Statement"][0]["Principal"]["Service"] = "sagemaker.amazonaws.com"
    aws.call("iam", "create_role", RoleName="other", AssumeRolePolicyDocument=json.dumps(trust))
    assert build_role(aws) == ROLE
    monkeypatch.setenv("CLOUDTUNE_BUILD_ROLE", "mine")
    assert build_role(aws) == f"arn:aws:iam::{ACCOUNT}:role/mine"
    assert build_role(aws, ROLE) == ROLE
    with pytest.raises(NoBuildRole, match="the role other may not be assumed"):
        build_role(aws, "other")


def test_the_policies_allow_all_calls_and_nothing_everywhere(aws: Aws, build_cloud: LocalCloud) -> None:
    """What a whole build has asked of AWS is in the two policies; no action is a pattern, and `*` is for logging in."""
    watched = Watched(aws)
    watched.build()
    watched.repository.newest("py")
    policies = [
        role_policy(aws, watched.repository, "data", "some/prefix"),
        caller_policy(aws, watched.repository, "data", ROLE, "some/prefix"),
    ]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    allowed = {action for statement in statements for action in statement["Action"]}
    made = {"s3:CreateBucket", "s3:ListBuckets", "sts:GetCallerIdentity"}  # by the test; needed by nobody's policy
    assert set(build_cloud.call_counts()) - made - {"s3:HeadBucket"} <= allowed
    assert not [action for action in allowed if "*" in action]
    everywhere = [statement["Action"] for statement in statements if statement["Resource"] == "*"]
    assert everywhere == [["ecr:GetAuthorizationToken"]] * 2
    passing = next(statement for statement in statements if statement["Action"] == ["iam:PassRole"])
    assert passing["Resource"] == ROLE
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "codebuild.amazonaws.com"}}
