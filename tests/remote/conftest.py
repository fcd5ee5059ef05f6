"""What the tests of remote tuners share: a bucket on the local cloud, and AWS without limits of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.aws import quotas
from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.remote.tuner_job import TunerPlace
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import RemoteTuning
from tests.remote.watched import Watched, make_roles

ACCOUNT = "123456789012"


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Jobs start at once, and are killed soon where they do not heed SIGTERM."""
    return CloudSettings(stop_grace=20.0, start_delay=0.0)


@pytest.fixture
def aws(local_cloud: LocalCloud) -> Aws:
    """AWS without limits of our own, so that tests need not wait for a rate of one call a second."""
    return Aws(budget=RateBudget({}))


@pytest.fixture
def bucket(aws: Aws) -> Bucket:
    """An empty bucket of the account."""
    aws.call("s3", "create_bucket", Bucket="experiments")
    return Bucket(aws, "experiments", ACCOUNT)


@pytest.fixture
def place(bucket: Bucket) -> TunerPlace:
    """Of the experiment ``digits``."""
    return TunerPlace(bucket, "cloudtune/digits/digits/")


@pytest.fixture
def tuning(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteTuning:
    """An experiment in a bucket of its own; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    gates = tmp_path / "gates"
    gates.mkdir()
    return RemoteTuning(local_cloud, gates)


@pytest.fixture
def watched(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """An experiment in a bucket of its own, whose calls are held against the policies; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path / "runs"))
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}")
    monkeypatch.setattr(quotas, "_told", {})  # what earlier tests have asked for is asked for again
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    make_roles(local_cloud)
    gates = tmp_path / "gates"
    gates.mkdir()
    return Watched(local_cloud, gates)
