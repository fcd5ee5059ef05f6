"""What the tests of the stores share: a bucket of the local cloud."""

from __future__ import annotations

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud

ROOT = "cloudtune/study/experiment/"


@pytest.fixture
def bucket(local_cloud: LocalCloud) -> Bucket:
    """An empty bucket."""
    aws = Aws(budget=RateBudget({}))
    aws.call("s3", "create_bucket", Bucket="data")
    return Bucket(aws, "data", "123456789012")
