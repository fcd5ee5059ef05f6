"""A local cloud that ends stubborn jobs soon, and an account without limits of calls."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.rate_budget import AWS_RATES, ENV_RATES
from cloudtune.localcloud import CloudSettings

pytest.register_assert_rewrite("tests.backend.sagemaker.harness")


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
