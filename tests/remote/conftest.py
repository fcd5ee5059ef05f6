"""What the tests of remote tuners share: a bucket on the local cloud, and AWS without limits of our own."""

from __future__ import annotations

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.remote.tuner_job import TunerPlace

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
