"""``cloudtune doctor`` on the bucket of the experiments."""

from __future__ import annotations

from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.cli.doctor.diagnosis import BUCKET, doctor


def test_the_missing_bucket_is_made_by_the_fix(local_cloud: LocalCloud) -> None:
    """The fix that is printed is the command that works, and then all is well."""
    found = doctor()
    assert found.problems() == ["bucket"]
    assert BUCKET in found.text("bucket")
    assert "role's rights" not in found.findings, "nothing can be told of a bucket that is not there"
    fix = found.fix("bucket").split()
    assert fix[:2] == ["cloudtune", "doctor"]
    assert doctor(*fix[2:]).text("bucket") == f"{BUCKET}: created just now, closed to the public"
    assert doctor().problems() == []


def test_a_named_bucket_is_made_by_the_fix(local_cloud: LocalCloud) -> None:
    """Also as a path."""
    fix = doctor("--bucket", "s3://mine-1/team").fix("bucket").split()
    assert fix == ["cloudtune", "doctor", "--create-bucket", "--bucket", "s3://mine-1/team"]
    assert doctor(*fix[2:]).problems() == []


def test_a_bucket_elsewhere_is_a_problem(local_cloud: LocalCloud) -> None:
    """The region of the bucket is named; a region can be chosen for the look, too."""
    local_cloud.client("s3").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    found = doctor("--bucket", "far-away")
    assert found.problems() == ["bucket"]
    assert "eu-west-1" in found.text("bucket")
    found = doctor("--bucket", "far-away", "--region", "eu-west-1")
    assert found.problems() == []
    assert "eu-west-1" in found.text("price")


def test_a_closed_bucket_is_a_problem(ready: LocalCloud, faults: CloudFaults) -> None:
    """With the right that is missing."""
    faults.add("access_denied", operation="s3:HeadBucket")
    found = doctor()
    assert "bucket" in found.problems()
    assert "s3:ListBucket" in found.text("bucket")
