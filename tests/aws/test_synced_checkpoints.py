"""Checkpoints that SageMaker keeps: copied and deleted where they lie, be it in another bucket of the account."""

from __future__ import annotations

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.synced_checkpoints import SyncedCheckpoints
from cloudtune.localcloud import LocalCloud

KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"


def checkpoints(cloud: LocalCloud, name: str, owner: str = "123456789012") -> SyncedCheckpoints:
    """Those of an experiment in the bucket ``experiments``, kept in another one; trial 0 has saved a file."""
    for bucket in {"experiments", name}:
        cloud.client("s3").create_bucket(Bucket=bucket)
    cloud.client("s3").put_object(Bucket=name, Key="kept/0/model.bin", Body=b"weights")
    aws = Aws("us-east-1")
    return SyncedCheckpoints(aws, Bucket(aws, "experiments", owner, KEY), lambda trial: f"s3://{name}/kept/{trial}/")


@pytest.mark.parametrize("name", ["experiments", "other-one"])
def test_copies_are_encrypted_in_whatever_bucket(local_cloud: LocalCloud, name: str) -> None:
    """With the key of the experiment, also where the user has named a bucket of his own."""
    kept = checkpoints(local_cloud, name)
    kept.copy(0, 1)
    copied = local_cloud.client("s3").head_object(Bucket=name, Key="kept/1/model.bin")
    assert (copied["ServerSideEncryption"], copied["SSEKMSKeyId"]) == ("aws:kms", KEY)
    assert kept.trials() == {0, 1}
    kept.delete(0)
    assert kept.trials() == {1}


@pytest.mark.parametrize("name", ["experiments", "other-one"])
def test_a_bucket_of_somebody_else_is_left_alone(local_cloud: LocalCloud, name: str) -> None:
    """What lies there is not ours to copy or to delete, whatever its name."""
    kept = checkpoints(local_cloud, name, owner="999999999999")
    with pytest.raises(AccessDenied):
        kept.copy(0, 1)
    with pytest.raises(AccessDenied):
        kept.delete(0)
    left = local_cloud.client("s3").list_objects_v2(Bucket=name)["Contents"]
    assert [one["Key"] for one in left] == ["kept/0/model.bin"]
