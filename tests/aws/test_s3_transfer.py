"""Files to S3 and back, whole and in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_transfer import MiB, Parts
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import ACCOUNT, upload_gone_after_completion

#: The smallest parts that S3 takes.
PARTS = Parts(5 * MiB, 5 * MiB)
LARGE = bytes(range(256)) * (11 * MiB // 256) + b"the end"


@pytest.fixture
def parted(bucket: Bucket) -> Bucket:
    """A bucket to which files go in parts from 5 MiB on."""
    return Bucket(bucket.aws, "data", ACCOUNT, transfer_parts=PARTS, copy_parts=PARTS)


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, str]]:
    """A large, a small, and an empty file, and their keys."""
    contents = {"large": LARGE, "small": b"small", "empty": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [(tmp_path / name, f"up/{name}") for name in contents]


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_come_back_as_they_went(
    parted: Bucket, files: list[tuple[Path, str]], tmp_path: Path, local_cloud: LocalCloud
) -> None:
    """Large ones in parts, both ways; folders are made."""
    parted.upload_files(files)
    counts = local_cloud.call_counts()
    assert (counts["s3:UploadPart"], counts["s3:CompleteMultipartUpload"], counts["s3:PutObject"]) == (3, 1, 2)
    parted.download_files([(key, f"deep/{path.name}") for path, key in files], tmp_path / "down")
    assert tree(tmp_path / "down") == {"deep/large": LARGE, "deep/small": b"small", "deep/empty": b""}
    assert local_cloud.call_counts()["s3:GetObject"] == 3 + 2
    parted.upload_files([])
    parted.download_files([], tmp_path)


@pytest.mark.parametrize("key", ["p/../../escaped", "p//etc/escaped", "p/link/escaped", "p/file"])
def test_no_object_is_written_outside_of_the_folder(parted: Bucket, tmp_path: Path, key: str) -> None:
    """Whatever it is called, and whatever links are in the folder: nothing at all is written then."""
    folder = tmp_path / "down"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "file").symlink_to(tmp_path / "escaped")
    parted.put("p/fine", b"x")
    parted.put("q/evil", b"x")
    relative = key.removeprefix("p/")
    with pytest.raises(InvalidRequest):
        parted.download_files([("p/fine", "fine"), ("q/evil", relative)], folder)
    assert not (tmp_path / "escaped").exists()
    assert not (folder / "fine").exists()


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("PutObject", "answer_lost"),
        ("CreateMultipartUpload", "answer_lost"),
        ("UploadPart", "slow_down"),
        ("UploadPart", "internal_error"),
        ("UploadPart", "request_lost"),
        ("CompleteMultipartUpload", "answer_lost"),
    ],
)
def test_uploads_survive_what_passes(
    parted: Bucket, files: list[tuple[Path, str]], faults: CloudFaults, fault: str, operation: str
) -> None:
    """In any of their requests; also where S3 has completed an upload and its answer was lost."""
    faults.add(fault, operation=f"s3:{operation}", count=1)
    parted.upload_files(files)
    assert faults.fired()
    assert {path.name: got.body for path, key in files if (got := parted.get(key))} == {
        "large": LARGE,
        "small": b"small",
        "empty": b"",
    }


@pytest.mark.parametrize(
    ("operation", "fault"),
    [("HeadObject", "answer_lost"), ("GetObject", "slow_down"), ("GetObject", "request_lost")],
)
def test_downloads_survive_what_passes(
    parted: Bucket, files: list[tuple[Path, str]], faults: CloudFaults, tmp_path: Path, fault: str, operation: str
) -> None:
    """In any of their requests."""
    parted.upload_files(files)
    faults.add(fault, operation=f"s3:{operation}", count=1)
    parted.download_files([(key, path.name) for path, key in files], tmp_path / "down")
    assert faults.fired()
    assert tree(tmp_path / "down") == {"large": LARGE, "small": b"small", "empty": b""}


def test_an_upload_that_was_completed_unheard_is_made_again(parted: Bucket, files: list[tuple[Path, str]]) -> None:
    """NoSuchUpload is no reason to fail: it says that an earlier request may have done it."""
    struck = upload_gone_after_completion(parted.aws)
    parted.upload_files(files)
    assert struck
    got = parted.get("up/large")
    assert got is not None
    assert got.body == LARGE


def test_only_what_failed_is_sent_again(
    parted: Bucket, files: list[tuple[Path, str]], faults: CloudFaults, local_cloud: LocalCloud
) -> None:
    """Our second try, after botocore has given up, does not begin from the start."""
    parted.aws._connections.clients["s3", 10] = parted.aws.client("s3", 1)  # botocore repeats nothing
    faults.add("internal_error", operation="s3:PutObject", resource="data/up/small", count=1)
    parted.upload_files(files)
    sent = [fired.case.resource for fired in faults.fired()]
    assert sent == ["data/up/small"]
    assert parted.get("up/small") is not None
    counts = local_cloud.call_counts()
    assert (counts["s3:PutObject"], counts["s3:CreateMultipartUpload"]) == (2 + 1, 1)


def test_a_download_that_fails_leaves_nothing_half(parted: Bucket, faults: CloudFaults, tmp_path: Path) -> None:
    """A file appears when it is complete; until then the old one stays."""
    parted.put("large", LARGE)
    (tmp_path / "large").write_bytes(b"old")
    faults.add("access_denied", operation="s3:GetObject", skip=1)
    with pytest.raises(AccessDenied, match="s3://data/large"):
        parted.download_files([("large", "large")], tmp_path)
    assert tree(tmp_path) == {"large": b"old"}


def test_what_is_missing_is_named(parted: Bucket, tmp_path: Path) -> None:
    """An object that does not exist, and a file that does not."""
    with pytest.raises(NotFound, match="s3://data/none"):
        parted.download_files([("none", "x")], tmp_path)
    with pytest.raises(FileNotFoundError, match="none"):
        parted.upload_files([(tmp_path / "none", "x")])


def test_a_bucket_of_another_account_is_refused(parted: Bucket, files: list[tuple[Path, str]], tmp_path: Path) -> None:
    """For every request of a transfer."""
    foreign = Bucket(parted.aws, "data", "999999999999", transfer_parts=PARTS)
    for one in files:
        with pytest.raises(AccessDenied):
            foreign.upload_files([one])
    assert parted.list("") == []
    parted.upload_files(files)
    for path, key in files:
        with pytest.raises(AccessDenied):
            foreign.download_files([(key, path.name)], tmp_path / "down")


def test_a_key_of_kms_encrypts_whole_files_and_parts(aws: Aws, bucket: Bucket, files: list[tuple[Path, str]]) -> None:
    """As with single objects."""
    safe = Bucket(aws, "data", ACCOUNT, "alias/ours", transfer_parts=PARTS)
    safe.upload_files(files)
    for _, key in files:
        assert aws.call("s3", "head_object", Bucket="data", Key=key)["SSEKMSKeyId"] == "alias/ours"


def test_paths_may_be_given_without_a_folder(parted: Bucket, tmp_path: Path) -> None:
    """Then they are the caller's own choice."""
    parted.put("a", b"x")
    parted.download_files([("a", tmp_path / "new" / "a")])
    assert tree(tmp_path) == {"new/a": b"x"}
