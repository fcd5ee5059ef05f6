"""What the tests of the AWS core share: a bucket, training jobs that end when a test says so, a cloud for builds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.aws import packaging
from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.container.build_cloud import cloud_with
from tests.container.fake_tools import FakeTools

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/trainer"


def wait_until(happened: Callable[[], object], what: str = "", timeout: float = 60.0) -> None:
    """Returns once ``happened`` is true; fails after ``timeout`` seconds, naming ``what`` it waited for."""
    until = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < until, f"in vain waited for: {what or happened}"
        time.sleep(0.01)


def training_request(name: str, script: str = "pass", **more: Any) -> dict[str, Any]:
    """A job that runs a line of Python, without any input."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/train:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c", script],
        },
        "OutputDataConfig": {"S3OutputPath": "s3://data/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **more,
    }


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """A job that does not heed SIGTERM (yet) is killed soon."""
    return CloudSettings(stop_grace=1.0)


@pytest.fixture
def aws(local_cloud: LocalCloud) -> Aws:
    """AWS without limits of our own, so that tests need not wait for a rate of one call a second."""
    return Aws(budget=RateBudget({}))


@pytest.fixture
def bucket(aws: Aws) -> Bucket:
    """An empty bucket of the account."""
    aws.call("s3", "create_bucket", Bucket="data")
    return Bucket(aws, "data", ACCOUNT)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> FakeTools:
    """The docker and the aws that builds of images find."""
    return FakeTools.create(tmp_path_factory.mktemp("bench"), "docker", "aws")


@pytest.fixture(scope="module")
def build_cloud(bench: FakeTools) -> Iterator[LocalCloud]:
    """One whose builds find these tools; each test resets it."""
    with cloud_with(bench) as cloud:
        yield cloud


def upload_gone_after_completion(aws: Aws) -> list[str]:
    """Has the next CompleteMultipartUpload succeed, and tell of no such upload; the list names those that did so.

    Thus AWS may answer a repeated request whose first answer was lost long ago. (The local cloud answers it as AWS does
    for some time: with success.)
    """
    struck: list[str] = []

    def strike(**event: Any) -> None:
        if not struck:
            struck.append("CompleteMultipartUpload")
            error = {"Code": "NoSuchUpload", "Message": "The specified multipart upload does not exist."}
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 404}}, struck[0])

    aws.client("s3").meta.events.register("after-call.s3.CompleteMultipartUpload", strike)
    return struck


@pytest.fixture
def small_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that pack again and again do so without the package."""
    monkeypatch.setattr(packaging, "_package_files", lambda **_: [("cloudtune/__init__.py", b"")])
