"""``cloudtune image``: what it builds and pushes, with which tool, and what it prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from cloudtune.aws.build_role import trust_policy
from cloudtune.aws.clients import Aws
from cloudtune.aws.ecr import Repository
from cloudtune.aws.image_recipe import recipe
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from tests.container.build_cloud import cloud_with, path_with
from tests.container.fake_tools import FakeTools

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
URI = f"{REGISTRY}/cloudtune-tuner:{recipe().tag}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> FakeTools:
    return FakeTools.create(tmp_path_factory.mktemp("bench"), "docker", "podman", "finch", "aws")


@pytest.fixture(scope="module")
def cloud(bench: FakeTools) -> Iterator[LocalCloud]:
    with cloud_with(bench) as cloud:
        yield cloud


@dataclass(frozen=True)
class Account:
    """The account, and the tools of this machine."""

    aws: Aws
    tools: FakeTools
    cloud: LocalCloud

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["image", *arguments])

    def has_image(self) -> bool:
        return Repository(self.aws, "cloudtune-tuner").has(recipe().tag)


@pytest.fixture
def account(cloud: LocalCloud, bench: FakeTools, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name, value in {**cloud.environment(), "PATH": path_with(bench)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CLOUDTUNE_TUNING_IMAGE", raising=False)
    yield Account(Aws(budget=RateBudget({})), bench, cloud)
    bench.fail()
    bench.forget()
    cloud.reset()


@pytest.mark.parametrize("tool", ["docker", "podman", "finch"])
def test_an_image_is_pushed_with_any_of_the_tools(account: Account, tool: str) -> None:
    """Repository, build, login, push, and the URI as all that standard output has; a second time nothing is done."""
    done = account.run("push", "--tool", tool)
    assert (done.exit_code, done.stdout) == (0, f"{URI}\n"), done.output
    assert f"created the repository {REGISTRY}/cloudtune-tuner" in done.stderr
    assert account.has_image()
    calls = account.tools.calls()
    build = next(line for line in calls if " build " in line and line.startswith(tool))
    wanted = "build --format docker" if tool == "podman" else "build --provenance=false --output type=docker"
    assert f"{wanted} --platform linux/amd64 --build-arg PYTHON=" in build
    assert f"--build-arg TAG={recipe().tag} --tag {URI} " in build
    login = next(line for line in calls if line.startswith(f"{tool} login"))
    assert login.startswith(f"{tool} login --username AWS --password-stdin {REGISTRY} < ")
    account.tools.forget()
    again = account.run("push", "--tool", tool)
    assert (again.exit_code, again.stdout) == (0, f"{URI}\n")
    assert account.tools.calls() == []


def test_building_pushes_nothing(account: Account) -> None:
    """The image has the name under which it would be pushed; the registry is looked into, and not changed."""
    done = account.run("build")
    assert (done.exit_code, done.stdout) == (0, f"{URI}\n"), done.output
    assert not [line for line in account.tools.calls() if "push" in line or "login" in line]
    assert "ecr:CreateRepository" not in account.cloud.call_counts()


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        (["docker info", "podman info", "finch info"], "none of docker, podman, finch runs here"),
        (["docker buildx build"], "docker could not build the image (exit code 1)"),
        (["docker login"], f"docker could not log in to {REGISTRY}"),
        (["docker push"], "docker could not push"),
    ],
)
def test_a_tool_that_fails_is_named_with_its_step(account: Account, failing: list[str], words: str) -> None:
    """One sentence and exit code 1; where there is no tool, the way without one is named."""
    account.tools.fail(*failing)
    done = account.run("push")
    assert (done.exit_code, done.stdout) == (1, "")
    assert words in done.stderr.splitlines()[-1]
    assert not account.has_image()
    if len(failing) == 3:
        assert "--codebuild" in done.stderr
        assert "ecr:CreateRepository" not in account.cloud.call_counts(), "nothing is left of what could not begin"


def test_aws_builds_the_image_where_there_is_no_tool(account: Account) -> None:
    """Its phases are told, and its log where it is asked for."""
    trust = json.dumps(trust_policy())
    account.aws.call("iam", "create_role", RoleName="cloudtune-image-build", AssumeRolePolicyDocument=trust)
    account.aws.call("s3", "create_bucket", Bucket="sagemaker-us-east-1-123456789012")
    done = account.run("build", "--codebuild", "--verbose")
    assert (done.exit_code, done.stdout) == (0, f"{URI}\n"), done.output
    assert account.has_image()
    assert "build: succeeded after" in done.stderr
    assert f"building {URI} with docker" in done.stderr
    again = account.run("build", "--codebuild")
    assert (again.exit_code, again.stdout) == (0, f"{URI}\n")
    assert account.cloud.call_counts()["codebuild:StartBuild"] == 1


def test_a_build_in_the_account_that_fails_shows_how_its_log_ended(account: Account) -> None:
    """Above the one sentence; without a role it does not begin, and the policies are pointed to."""
    account.aws.call("s3", "create_bucket", Bucket="data")
    done = account.run("build", "--codebuild", "--bucket", "data")
    assert done.exit_code == 1
    assert "`cloudtune image policy`" in done.stderr
    trust = json.dumps(trust_policy())
    account.aws.call("iam", "create_role", RoleName="builder", AssumeRolePolicyDocument=trust)
    account.tools.fail("docker push")
    done = account.run("build", "--codebuild", "--bucket", "data", "--role", "builder")
    assert done.exit_code == 1
    assert f"  build_and_push.sh: docker could not push {URI}" in done.stderr
    assert "failed in its phase build" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_the_uri_is_that_of_the_image_a_tuner_would_get(account: Account) -> None:
    """First AWS's own, then the account's; the reason stands on standard error, or in JSON."""
    done = account.run("uri")
    assert "/pytorch-training:" in done.stdout
    assert "`cloudtune image build`" in done.stderr
    account.run("push")
    done = account.run("uri")
    assert (done.stdout, done.stderr) == (f"{URI}\n", "")
    told = json.loads(account.run("uri", "--json").stdout)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert told == {"uri": URI, "python": here, "origin": "built", "note": ""}


def test_the_policies_are_printed_for_bucket_role_and_repository(account: Account) -> None:
    """Ready to be given to IAM; asked of an account that has none of it yet."""
    done = account.run("policy", "--bucket", "s3://data/some", "--role", "builder", "--repository", "my/tuner")
    policies = json.loads(done.stdout)
    assert set(policies) == {"trust", "role", "caller"}
    assert policies["trust"] == trust_policy()
    text = json.dumps(policies)
    for arn in (
        "arn:aws:ecr:us-east-1:123456789012:repository/my/tuner",
        "arn:aws:s3:::data/some/cloudtune/image/*",
        "arn:aws:iam::123456789012:role/builder",
        "arn:aws:codebuild:us-east-1:123456789012:project/cloudtune-image",
    ):
        assert f'"{arn}"' in text


@pytest.mark.parametrize(
    "arguments",
    [["--bucket", "data"], ["--role", "builder"], ["--codebuild", "--tool", "docker"], ["--tool", "rocket"]],
)
def test_options_that_make_no_sense_are_refused(account: Account, arguments: list[str]) -> None:
    """Before AWS is asked anything."""
    assert account.run("build", *arguments).exit_code == 2
    assert account.cloud.call_counts() == {}


def test_a_python_without_a_recipe_is_refused(account: Account) -> None:
    """With what to do instead."""
    done = account.run("push", "--python", "3.7")
    assert done.exit_code == 1
    assert "no base image with Python 3.7; name one with --base" in done.stderr
