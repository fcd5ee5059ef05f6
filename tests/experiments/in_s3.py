"""Experiments for these tests that lie in S3, written by a real store."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.store.s3_place import S3Place
from cloudtune.store.s3_store import S3Store
from cloudtune.store.store import Entry
from tests.experiments.recorded import METADATA

ACCOUNT = "123456789012"
#: Where experiments lie by default.
DEFAULT_BUCKET = f"sagemaker-us-east-1-{ACCOUNT}"


def header(name: str, **more: Any) -> Entry:
    """The entry that begins an experiment."""
    method = {"metric_names": ["loss"], "metric_mode": "min", "resource_attr": "epoch"}
    return {
        "event": "experiment",
        "name": name,
        "experiment_id": "abc123",
        "scheduler": method,
        "metadata": {"seed": 1},
        "unix": 5.0,
        **more,
    }


def opened_in_s3(name: str, *entries: Entry, tag: str = "", place: str = f"s3://{DEFAULT_BUCKET}") -> S3Store:
    """Writes an experiment; its tuner is still at work."""
    where = S3Place.of(place)
    store = S3Store(Bucket(aws_for(), where.bucket_name, ACCOUNT), where.root(name, tag or None))
    store.open()
    store.append(list(entries))
    store.flush()
    return store


def recorded_in_s3(
    name: str, *entries: Entry, tag: str = "", place: str = f"s3://{DEFAULT_BUCKET}", **metadata: Any
) -> S3Store:
    """Writes an experiment that has ended."""
    store = opened_in_s3(name, *entries, tag=tag, place=place)
    store.write_metadata({**METADATA, **metadata})
    store.close()
    return store


@pytest.fixture
def account(local_cloud: LocalCloud) -> LocalCloud:
    """An account that has its default bucket, and another one."""
    for name in (DEFAULT_BUCKET, "data"):
        local_cloud.client("s3").create_bucket(Bucket=name)
    return local_cloud
