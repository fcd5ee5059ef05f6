"""The agent's checkpoints with boto3 and the local cloud: parts, lost writes, refusals."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.s3 import S3
from cloudtune.agent.s3_errors import S3Denied
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.agent.checkpoint_folders import PREFIX, none_shipped, read_tree, task_of, write_in_place, write_tree

OWNER = "123456789012"


@pytest.fixture
def s3(local_cloud: LocalCloud) -> S3:
    local_cloud.client("s3").create_bucket(Bucket="data")
    return S3("data", OWNER, "us-east-1")


def checkpoints_of(s3: S3, folder: Path, attempt: int = 0) -> Checkpoints:
    return Checkpoints(s3, task_of(attempt=attempt), 1, str(folder), settle=0.0, patience=60.0)


def restored(s3: S3, folder: Path) -> dict[str, bytes | None]:
    checkpoints_of(s3, folder, attempt=1).restore()
    return read_tree(folder)


def test_a_tree_goes_to_s3_and_back(s3: S3, tmp_path: Path) -> None:
    """Odd names, empty files and folders, and many small files are restored as they were."""
    tree: dict[str, bytes | None] = {f"shards/{number}": b"%d" % number for number in range(50)}
    tree |= {"empty": b"", "ä ö/ü\n": b"\0", "folder/empty": None, "+&?#%2F": b"x"}
    write_tree(tmp_path / "a", tree)
    assert checkpoints_of(s3, tmp_path / "a").save_final(none_shipped) == "000000-000001-000001"
    assert restored(s3, tmp_path / "b") == tree


def test_a_large_file_goes_in_parts(s3: S3, local_cloud: LocalCloud, tmp_path: Path) -> None:
    """A file of many megabytes is a multipart upload, and comes back byte by byte; unchanged, it goes up only once."""
    content = random.Random(4).randbytes(20 * 1024 * 1024 + 7)
    write_tree(tmp_path / "a", {"model.pt": content, "epoch": b"1"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    checkpoints.save_if_due(none_shipped, now=True)
    assert local_cloud.call_counts()["s3:UploadPart"] == 3
    write_in_place(tmp_path / "a" / "epoch", b"2")
    checkpoints.save_final(none_shipped)
    assert local_cloud.call_counts()["s3:UploadPart"] == 3
    there = restored(s3, tmp_path / "b")
    assert there["epoch"] == b"2"
    model = there["model.pt"]
    assert model is not None
    assert hashlib.sha256(model).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("kind", ["write_lost", "slow_down", "answer_lost", "request_lost"])
@pytest.mark.parametrize("skip", [0, 1, 3])
def test_a_generation_is_whole_whatever_s3_does_to_writes(
    kind: str, skip: int, s3: S3, faults: CloudFaults, tmp_path: Path
) -> None:
    """Writes that are lost, refused or unanswered for a while cost time, and never part of the checkpoint."""
    tree: dict[str, bytes | None] = {"a": b"1", "b": b"2", "model.pt": bytes(9 * 1024 * 1024)}
    write_tree(tmp_path / "a", tree)
    for operation in ("s3:PutObject", "s3:CompleteMultipartUpload"):
        faults.add(kind, operation=operation, count=2, skip=skip if operation == "s3:PutObject" else 0)
    assert checkpoints_of(s3, tmp_path / "a").save_final(none_shipped) is not None
    assert faults.fired()
    assert restored(s3, tmp_path / "b") == tree


def test_a_restore_gets_along_with_refused_reads(s3: S3, faults: CloudFaults, tmp_path: Path) -> None:
    """SlowDown and broken connections while reading are waited out."""
    tree: dict[str, bytes | None] = {"a": b"1", "b": b"2"}
    write_tree(tmp_path / "a", tree)
    checkpoints_of(s3, tmp_path / "a").save_final(none_shipped)
    faults.add("slow_down", operation="s3:GetObject", count=4)
    faults.add("answer_lost", operation="s3:ListObjectsV2", count=4)
    assert restored(s3, tmp_path / "b") == tree


def test_denied_writes_are_no_checkpoint_and_no_crash(s3: S3, faults: CloudFaults, tmp_path: Path) -> None:
    """While the script runs a refusal is told and tried again; the final save says that it failed."""
    write_tree(tmp_path / "a", {"a": b"1"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    faults.add("access_denied", operation="s3:PutObject", resource=f"data/{PREFIX}/*")
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    with pytest.raises(S3Denied, match=r"writing s3://data/"):
        checkpoints.save_final(none_shipped)
    faults.clear()
    assert checkpoints.save_final(none_shipped) is not None


def test_old_generations_are_deleted_in_s3(s3: S3, local_cloud: LocalCloud, tmp_path: Path) -> None:
    """However many generations a long job saves, two of them lie in the bucket, at a few calls per save."""
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    for epoch in range(6):
        write_tree(tmp_path / "a", {"epoch": b"%d" % epoch})
        checkpoints.save_if_due(none_shipped, now=True)
    assert len(s3.list(PREFIX)) == 4
    before = local_cloud.call_counts()
    write_tree(tmp_path / "a", {"epoch": b"last"})
    checkpoints.save_final(none_shipped)
    after = local_cloud.call_counts()
    added = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    # The file, one listing, the manifest and a look at it; the manifest before, then an old manifest and its file.
    assert added == {"s3:PutObject": 2, "s3:ListObjectsV2": 1, "s3:GetObject": 2, "s3:DeleteObjects": 2}


def test_a_large_file_whose_last_answer_never_comes(s3: S3, faults: CloudFaults, tmp_path: Path) -> None:
    """S3 has put the parts together, however long nobody heard of it: the object is found, and not sent again."""
    content = random.Random(5).randbytes(20 * 1024 * 1024 + 7)
    write_tree(tmp_path / "a", {"model.pt": content})
    faults.add(Fault("answer_lost", operation="s3:CompleteMultipartUpload"))
    assert checkpoints_of(s3, tmp_path / "a").save_final(none_shipped) == "000000-000001-000001"
    assert restored(s3, tmp_path / "b") == {"model.pt": content}
