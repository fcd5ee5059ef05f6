"""The agent's S3: what it reads and writes, and how its errors are sorted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.agent.s3 import S3, NotChanged
from cloudtune.agent.s3_errors import S3Denied, S3NotFound, S3Unreachable
from cloudtune.localcloud import Fault, LocalCloud
from tests.agent.agent_job import ACCOUNT, BUCKET


@pytest.fixture
def s3(local_cloud: LocalCloud) -> S3:
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    return S3(BUCKET, ACCOUNT, "us-east-1")


def test_objects_are_written_read_listed_and_deleted(s3: S3) -> None:
    """The plain things."""
    assert s3.get("a/1") is None
    etag = s3.put("a/1", b"one")
    s3.put("a/2", b"three")
    got = s3.get("a/1")
    assert got is not None
    assert (got.body, got.etag) == (b"one", etag)
    assert [(key, size) for key, size, _ in s3.list("a/")] == [("a/1", 3), ("a/2", 5)]
    s3.delete(["a/1", "a/2", "a/none"])
    assert s3.list("a/") == []
    s3.delete([])


def test_an_unchanged_object_is_not_sent_again(s3: S3) -> None:
    """A conditional GET is how thousands of agents can look at one object for little money."""
    etag = s3.put("life", b"1")
    with pytest.raises(NotChanged):
        s3.get("life", etag)
    s3.put("life", b"2")
    got = s3.get("life", etag)
    assert got is not None
    assert got.body == b"2"
    assert s3.get("none", etag) is None


def test_files_go_up_and_down(s3: S3, tmp_path: Path) -> None:
    """A large one in parts."""
    content = bytes(range(256)) * 80_000
    (tmp_path / "up").write_bytes(content)
    s3.upload_file(str(tmp_path / "up"), "big")
    s3.download_file("big", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == content
    assert "-" in s3.list("big")[0][2], "it went in one part"


def test_a_missing_object_or_file_is_named(s3: S3, tmp_path: Path) -> None:
    """A missing object is S3NotFound; trouble with the disk stays what it is."""
    with pytest.raises(S3NotFound):
        s3.download_file("none", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()
    with pytest.raises(FileNotFoundError):
        s3.upload_file(str(tmp_path / "none"), "key")
    s3.put("key", b"x")
    with pytest.raises(OSError, match="no-such-folder"):
        s3.download_file("key", str(tmp_path / "no-such-folder" / "x"))


def test_a_missing_bucket_is_told_apart_from_a_missing_object(local_cloud: LocalCloud) -> None:
    """Only a missing object is None."""
    gone = S3("no-such-bucket-anywhere", "", "us-east-1")
    for call in (lambda: gone.get("x"), lambda: gone.put("x", b""), lambda: gone.list("")):
        with pytest.raises(S3NotFound):
            call()


def test_a_bucket_of_somebody_else_is_denied(s3: S3) -> None:
    """Every call says whose bucket it means."""
    other = S3(BUCKET, "210987654321", "us-east-1")
    with pytest.raises(S3Denied):
        other.put("x", b"secret")
    with pytest.raises(S3Denied):
        other.get("x")
    with pytest.raises(S3Denied):
        other.list("")
    with pytest.raises(S3Denied):
        other.delete(["x"])


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("access_denied", S3Denied),
        ("slow_down", S3Unreachable),
        ("internal_error", S3Unreachable),
        ("request_lost", S3Unreachable),
    ],
)
def test_errors_are_sorted_by_what_is_to_be_done(
    s3: S3, local_cloud: LocalCloud, tmp_path: Path, kind: str, error: type[Exception]
) -> None:
    """Denied: give up; unreachable: try again. For single calls and for the transfer of files."""
    (tmp_path / "file").write_bytes(b"x")
    local_cloud.faults.add(Fault(kind, "s3:*"))
    calls: list[Any] = [
        lambda: s3.put("x", b""),
        lambda: s3.upload_file(str(tmp_path / "file"), "x"),
        lambda: s3.download_file("x", str(tmp_path / "down")),
    ]
    for call in calls:
        with pytest.raises(error):
            call()


def test_a_cloud_that_is_gone_is_unreachable(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(S3Unreachable):
        S3(BUCKET, ACCOUNT, "us-east-1").get("x")


def test_without_credentials_nothing_is_tried_for_ever(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job without a role's credentials is denied."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(S3Denied, match="execution role"):
        S3(BUCKET, ACCOUNT, "us-east-1").get("x")


def test_what_is_written_is_encrypted_with_the_key_that_was_asked_for(
    s3: S3, local_cloud: LocalCloud, tmp_path: Path
) -> None:
    """Small objects and files alike."""
    key = "arn:aws:kms:us-east-1:123456789012:key/mine"
    keyed = S3(BUCKET, ACCOUNT, "us-east-1", key)
    keyed.put("small", b"x")
    (tmp_path / "file").write_bytes(b"x")
    keyed.upload_file(str(tmp_path / "file"), "file")
    client = local_cloud.client("s3")
    for name in ("small", "file"):
        found = client.head_object(Bucket=BUCKET, Key=name)
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)
