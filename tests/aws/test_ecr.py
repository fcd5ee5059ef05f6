"""A repository of the account's registry."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.ecr import BadRepository, Repository
from cloudtune.aws.image_recipe import LIFECYCLE, container_folder
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.localcloud.in_process import InProcessCloud

ADDRESS = "123456789012.dkr.ecr.us-east-1.amazonaws.com/cloudtune-tuner"


@pytest.fixture
def account(in_process_cloud: InProcessCloud) -> Aws:
    return Aws(budget=RateBudget({}))


@pytest.fixture
def lifecycle() -> Path:
    folder = container_folder()
    assert folder is not None
    return folder / LIFECYCLE


def push(aws: Aws, tag: str, layer: int = 0) -> None:
    """As a container tool does it in the end."""
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": layer, "digest": "sha256:0"},
        "layers": [],
    }
    aws.call("ecr", "put_image", repositoryName="cloudtune-tuner", imageTag=tag, imageManifest=json.dumps(manifest))


def test_a_repository_is_made_once_scanned_private_and_cleaned_up(account: Aws, lifecycle: Path) -> None:
    """Tags are never moved in it; a second call leaves it as it is."""
    repository = Repository(account, "cloudtune-tuner")
    assert repository.ensure(lifecycle)
    assert not repository.ensure(lifecycle)
    found = account.call("ecr", "describe_repositories")["repositories"]
    assert [one["repositoryUri"] for one in found] == [ADDRESS] == [repository.address]
    assert found[0]["imageScanningConfiguration"] == {"scanOnPush": True}
    assert found[0]["imageTagMutability"] == "IMMUTABLE"
    policy = account.call("ecr", "get_lifecycle_policy", repositoryName="cloudtune-tuner")["lifecyclePolicyText"]
    assert json.loads(policy) == json.loads(lifecycle.read_text(encoding="utf-8"))


def test_the_address_is_known_before_the_repository_is_there(account: Aws) -> None:
    """From account, region and partition."""
    assert Repository(account, "cloudtune-tuner").uri("py312-0") == f"{ADDRESS}:py312-0"


def test_who_was_slower_finds_the_repository_made(
    account: Aws, lifecycle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program creates it between our look and our wish: no error."""
    call = Aws.call
    monkeypatch.setattr(Aws, "call", call)

    def late(self: Aws, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "create_repository":
            call(self, service, operation, repositoryName=params["repositoryName"])
        return call(self, service, operation, **params)

    monkeypatch.setattr(Aws, "call", late)
    assert not Repository(account, "cloudtune-tuner").ensure(lifecycle)


def test_without_the_right_to_set_a_policy_images_are_kept(
    account: Aws, lifecycle: Path, in_process_cloud: InProcessCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """The repository is of use all the same, and the user is told."""
    in_process_cloud.faults.add("access_denied", operation="ecr:PutLifecyclePolicy")
    with caplog.at_level(logging.WARNING):
        assert Repository(account, "cloudtune-tuner").ensure(lifecycle)
    assert "keeps every image" in caplog.text


def test_an_image_is_found_by_its_tag(account: Aws, lifecycle: Path) -> None:
    """No repository, no image and another's tag are all the same: not there."""
    repository = Repository(account, "cloudtune-tuner")
    assert not repository.has("py312-0")
    assert repository.newest("py312-") is None
    repository.ensure(lifecycle)
    assert not repository.has("py312-0")
    push(account, "py312-0")
    assert repository.has("py312-0")
    assert not repository.has("py312-1")


def test_the_newest_image_of_a_python_is_found(account: Aws, lifecycle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By when it was pushed, not by its tag; those of other Pythons do not count. The list comes in pages."""
    repository = Repository(account, "cloudtune-tuner")
    repository.ensure(lifecycle)
    for number, tag in enumerate(("py312-b", "py312-a", "py313-c")):
        push(account, tag, number)
    rows = account.call("ecr", "describe_images", repositoryName="cloudtune-tuner")["imageDetails"]
    order = {"py312-b": 100.0, "py312-a": 200.0, "py313-c": 300.0}
    call = Aws.call

    def in_pages(self: Aws, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation != "describe_images":
            return call(self, service, operation, **params)
        number = int(params.get("nextToken", 0))
        moment = rows[number]["imagePushedAt"].fromtimestamp(order[rows[number]["imageTags"][0]])
        more = {"nextToken": str(number + 1)} if number + 1 < len(rows) else {}
        return {"imageDetails": [{**rows[number], "imagePushedAt": moment}], **more}

    monkeypatch.setattr(Aws, "call", in_pages)
    assert repository.newest("py312-") == "py312-a"
    assert repository.newest("py313-") == "py313-c"
    assert repository.newest("py311-") is None


def test_a_login_never_shows_its_password(account: Aws) -> None:
    """Neither in a message nor in a log."""
    login = Repository(account, "cloudtune-tuner").login()
    assert (login.user, login.registry) == ("AWS", ADDRESS.partition("/")[0])
    assert login.password
    assert login.password not in repr(login)


@pytest.mark.parametrize("name", ["", "a", "Big", "with space", "a//b", "-a"])
def test_names_that_no_repository_can_have_are_refused(account: Aws, name: str) -> None:
    """Before AWS is asked."""
    with pytest.raises(BadRepository, match="small letters"):
        Repository(account, name)
