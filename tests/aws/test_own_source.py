"""The source in the form of AWS's toolkit."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile

from cloudtune.aws.clients import Aws
from cloudtune.aws.own_source import source_archive, upload_source
from cloudtune.aws.packaging import Bundle
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import InProcessCloud


def bundle_of(files: dict[str, str], executable: tuple[str, ...] = (), year: int = 2020) -> Bundle:
    """An archive as packaging makes it: agent, cloudtune, and files below ``source/``."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        packed.writestr("__main__.py", "agent")
        packed.writestr("cloudtune/report.py", "reporter")
        for name, text in files.items():
            entry = zipfile.ZipInfo(f"source/{name}", (year, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if name in executable else 0o644) << 16
            packed.writestr(entry, text)
    body = written.getvalue()
    return Bundle(body=body, digest=hashlib.sha256(body).hexdigest(), files=tuple(files))


def unpacked(archive: bytes) -> dict[str, tuple[str, int]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {
            member.name: (tar.extractfile(member).read().decode(), member.mode)  # type: ignore[union-attr]
            for member in tar.getmembers()
        }


def test_the_users_files_stand_at_the_top_and_cloudtune_beside_them() -> None:
    """The toolkit runs train.py in its folder, and the script can import the Reporter; the agent stays behind."""
    files = unpacked(source_archive(bundle_of({"train.py": "1", "inner/go.sh": "2"}, executable=("inner/go.sh",))))
    assert files == {
        "train.py": ("1", 0o644),
        "inner/go.sh": ("2", 0o755),
        "cloudtune/report.py": ("reporter", 0o644),
    }


def test_a_users_own_cloudtune_is_not_mixed_with_ours() -> None:
    """Who brings a version of cloudtune along gets that one alone."""
    files = unpacked(source_archive(bundle_of({"train.py": "1", "cloudtune/tuner.py": "theirs"})))
    assert set(files) == {"train.py", "cloudtune/tuner.py"}


def test_the_same_content_gives_the_same_bytes() -> None:
    """Its digest is its address, so nothing of the time of day is in it."""
    assert source_archive(bundle_of({"a.py": "1"})) == source_archive(bundle_of({"a.py": "1"}, year=2024))
    assert source_archive(bundle_of({"a.py": "1"})) != source_archive(bundle_of({"a.py": "2"}))


def test_it_is_uploaded_once(in_process_cloud: InProcessCloud) -> None:
    """Another trial, tuner or day finds it there."""
    in_process_cloud.client("s3").create_bucket(Bucket="bucket")
    bucket, bundle = Bucket(Aws(), "bucket"), bundle_of({"train.py": "1"})
    first, second = upload_source(bucket, bundle), upload_source(bucket, bundle)
    assert first == second
    assert first.endswith("/sourcedir.tar.gz")
    assert in_process_cloud.call_counts()["s3:PutObject"] == 1
    got = bucket.get(first.removeprefix("s3://bucket/"))
    assert got is not None
    assert unpacked(got.body)["train.py"][0] == "1"
