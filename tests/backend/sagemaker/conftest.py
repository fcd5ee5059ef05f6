"""A local cloud that ends stubborn jobs soon, and an account without limits of calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import AWS_RATES, ENV_RATES
from cloudtune.aws.s3 import Bucket
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.backend.sagemaker.watcher_scene import Scene


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Jobs that do not heed SIGTERM are killed after seconds; checkpoints are synced at once."""
    return CloudSettings(stop_grace=8.0, sync_interval=0.2)


@pytest.fixture
def cloud(local_cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The local cloud, with a bucket; what AWS allows a second, tests need not wait for."""
    from tests.backend.sagemaker.harness import BUCKET

    monkeypatch.setenv(ENV_RATES, ",".join(f"{operation}=1000" for operation in AWS_RATES))
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    return local_cloud


@pytest.fixture
def bucket(local_cloud: LocalCloud) -> Bucket:
    """A bucket, for parts of the backend that need no more of a cloud."""
    local_cloud.client("s3").create_bucket(Bucket="data")
    return Bucket(Aws("us-east-1"), "data", "123456789012")


@pytest.fixture
def desk() -> Iterator[Desk]:
    """What the threads of a backend share."""
    desk = Desk()
    yield desk
    desk.bell.close()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A watcher whose clock a test sets."""
    scene = Scene(monkeypatch)
    yield scene
    scene.desk.bell.close()
