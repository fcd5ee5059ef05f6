"""Copies on S3's side, whole and in parts."""

from __future__ import annotations

import threading

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, NotFound
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_copy import _Copies
from cloudtune.aws.s3_transfer import MiB, Parts
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import ACCOUNT, upload_gone_after_completion

PARTS = Parts(5 * MiB, 5 * MiB)
LARGE = bytes(range(256)) * (11 * MiB // 256) + b"the end"
PAIRS = [("from/large", "to/large", len(LARGE)), ("from/small", "to/small", 5)]


@pytest.fixture
def parted(bucket: Bucket) -> Bucket:
    """A bucket in which copies go in parts from 5 MiB on, with something to copy."""
    parted = Bucket(bucket.aws, "data", ACCOUNT, transfer_parts=PARTS, copy_parts=PARTS)
    parted.put("from/large", LARGE)
    parted.put("from/small", b"small")
    return parted


def copied(bucket: Bucket) -> dict[str, bytes]:
    """What has arrived."""
    return {key: got.body for key, got in bucket.get_many(one.key for one in bucket.list("to/")).items()}


def unfinished(aws: Aws) -> list[str]:
    """Uploads whose parts S3 still keeps."""
    return [one["Key"] for one in aws.call("s3", "list_multipart_uploads", Bucket="data").get("Uploads", ())]


def test_copies_are_made_by_s3(parted: Bucket, local_cloud: LocalCloud) -> None:
    """Nothing is read or written by us; large objects go in parts."""
    parted.copy_many(PAIRS)
    counts = local_cloud.call_counts()
    assert "s3:GetObject" not in counts
    assert counts["s3:PutObject"] == 2
    assert (counts["s3:CopyObject"], counts["s3:UploadPartCopy"], counts["s3:CompleteMultipartUpload"]) == (1, 3, 1)
    assert copied(parted) == {"to/large": LARGE, "to/small": b"small"}


def test_objects_are_read_while_copies_last(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many copies are under way, and however long they take: reports do not wait for them."""
    bucket.put("head/0", b"one")
    bucket.put("head/1", b"two")
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def copy(*_: object) -> None:
        begun.release()
        assert go_on.wait(30)

    monkeypatch.setattr(_Copies, "_copy_whole", copy)
    copies = threading.Thread(target=bucket.copy_many, args=([("a", f"b/{n}", 1) for n in range(200)],))
    copies.start()
    try:
        while begun.acquire(timeout=0.5):
            pass  # until all threads for it are busy
        assert len(bucket.get_many(["head/0", "head/1"])) == 2
        assert not go_on.is_set()
    finally:
        go_on.set()
        copies.join()


@pytest.mark.defect("E11")
def test_a_hundred_objects_are_a_hundred_requests(parted: Bucket, local_cloud: LocalCloud) -> None:
    """Sizes are known from a listing: none is asked for."""
    before = local_cloud.call_counts()
    parted.copy_many([("from/small", f"to/{number}", 5) for number in range(100)])
    after = local_cloud.call_counts()
    assert {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)} == {
        "s3:CopyObject": 100
    }
    assert set(copied(parted).values()) == {b"small"}


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("CopyObject", "answer_lost"),
        ("HeadObject", "request_lost"),
        ("CreateMultipartUpload", "answer_lost"),
        ("UploadPartCopy", "slow_down"),
        ("UploadPartCopy", "internal_error"),
        ("UploadPartCopy", "answer_lost"),
        ("CompleteMultipartUpload", "answer_lost"),
    ],
)
def test_copies_survive_what_passes(parted: Bucket, faults: CloudFaults, fault: str, operation: str) -> None:
    """In any of their requests; also where S3 has completed an upload and its answer was lost."""
    faults.add(fault, operation=f"s3:{operation}", count=1)
    parted.copy_many(PAIRS)
    assert faults.fired()
    assert copied(parted) == {"to/large": LARGE, "to/small": b"small"}


def test_a_copy_that_was_completed_unheard_is_seen_to_be_there(parted: Bucket, local_cloud: LocalCloud) -> None:
    """NoSuchUpload while the object is there, of that size and in so many parts: it was our own request."""
    struck = upload_gone_after_completion(parted.aws)
    parted.copy_many(PAIRS)
    assert struck
    assert copied(parted) == {"to/large": LARGE, "to/small": b"small"}
    assert "s3:AbortMultipartUpload" not in local_cloud.call_counts()


def test_an_upload_that_vanished_is_not_taken_for_completed(parted: Bucket, faults: CloudFaults) -> None:
    """Where the upload is gone and the object is not there, the copy has failed."""
    parted.put("to/large", b"of an earlier time")
    faults.add("write_lost", operation="s3:CompleteMultipartUpload", count=1)
    faults.add("answer_lost", operation="s3:CompleteMultipartUpload", count=1)
    with pytest.raises(NotFound):
        parted.copy_many(PAIRS)


@pytest.mark.parametrize("operation", ["UploadPartCopy", "CompleteMultipartUpload"])
def test_a_copy_that_fails_leaves_no_parts(parted: Bucket, faults: CloudFaults, operation: str) -> None:
    """S3 would keep them, and charge for them, for ever; what was at the target stays."""
    parted.put("to/large", b"of an earlier time")
    faults.add("access_denied", operation=f"s3:{operation}")
    with pytest.raises(AccessDenied, match="s3://data/to/large"):
        parted.copy_many(PAIRS)
    assert unfinished(parted.aws) == []
    assert copied(parted)["to/large"] == b"of an earlier time"


def test_parts_that_could_not_be_thrown_away_are_told(
    parted: Bucket, faults: CloudFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason of the failure is raised; that something remains is logged."""
    faults.add("access_denied", operation="s3:UploadPartCopy")
    faults.add("access_denied", operation="s3:AbortMultipartUpload")
    with pytest.raises(AccessDenied, match="UploadPartCopy"):
        parted.copy_many(PAIRS)
    assert "Parts of an unfinished copy remain in data" in caplog.text


@pytest.mark.parametrize("size", [5, 100 * MiB])
def test_a_source_that_does_not_exist_is_named(parted: Bucket, size: int) -> None:
    """Whether it was thought to be small or large."""
    with pytest.raises(NotFound, match="none"):
        parted.copy_many([("from/none", "to/none", size)])
    assert unfinished(parted.aws) == []


def test_a_source_that_is_smaller_than_thought_is_copied_whole(parted: Bucket) -> None:
    """It was replaced after it had been listed."""
    parted.copy_many([("from/small", "to/small", 100 * MiB)])
    assert copied(parted) == {"to/small": b"small"}


def test_copies_between_buckets_know_both_owners(parted: Bucket, aws: Aws) -> None:
    """Neither is read from nor written to if it belongs to somebody else."""
    aws.call("s3", "create_bucket", Bucket="other")
    target = Bucket(aws, "other", ACCOUNT, "alias/ours", copy_parts=PARTS)
    target.copy_many(PAIRS, source=parted)
    assert copied(target) == {"to/large": LARGE, "to/small": b"small"}
    for key in ("to/large", "to/small"):
        assert aws.call("s3", "head_object", Bucket="other", Key=key)["SSEKMSKeyId"] == "alias/ours"
    foreign = Bucket(aws, "data", "999999999999", copy_parts=PARTS)
    for pair in PAIRS:
        with pytest.raises(AccessDenied):
            target.copy_many([pair], source=foreign)
        with pytest.raises(AccessDenied):
            foreign.copy_many([pair], source=parted)
    assert parted.list("to/") == []
