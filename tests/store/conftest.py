"""What the tests of the stores share: a bucket of the local cloud, and where a local store lies."""

from __future__ import annotations

from pathlib import Path

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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a local store."""
    return tmp_path / "experiment"


@pytest.fixture
def store_source(path: Path) -> str:
    """Makes the local store in a program of its own."""
    return (
        "from cloudtune.store.local_store import LocalStore\n"
        f"def make_store():\n    return LocalStore({str(path)!r}, results_update_interval=0)\n"
    )
