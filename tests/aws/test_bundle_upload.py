"""Archives in S3: uploaded once, whole, and replaced where they are damaged."""

from __future__ import annotations

import io
import threading
import zipfile
from pathlib import Path

import pytest

from cloudtune.aws.packaging import (
    build_bundle,
    upload_bundle,
)
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.source_folders import source


@pytest.mark.defect("E4")
@pytest.mark.usefixtures("small_package")
def test_a_hundred_trials_upload_the_source_once(bucket: Bucket, local_cloud: LocalCloud, tmp_path: Path) -> None:
    """The predecessor uploaded per trial and per resume; here trials, tuners and reruns share one object."""
    folder = source(tmp_path, {"train.py": "pass"})
    places = {upload_bundle(bucket, build_bundle(folder, "train.py")) for _ in range(100)}
    assert local_cloud.call_counts()["s3:PutObject"] == 1
    (place,) = places
    digest = build_bundle(folder, "train.py").digest
    assert place == f"s3://data/cloudtune/code/{digest[:32]}/"
    assert [listed.key for listed in bucket.list("cloudtune/code/")] == [f"cloudtune/code/{digest[:32]}/bundle.zip"]
    (folder / "train.py").write_text("other")
    upload_bundle(bucket, build_bundle(folder, "train.py"))
    assert local_cloud.call_counts()["s3:PutObject"] == 2


def test_tuners_that_upload_at_once_do_not_clash(bucket: Bucket, tmp_path: Path) -> None:
    """All of them get the same address, none an error, and the object is whole."""
    bundle = build_bundle(source(tmp_path, {"train.py": "pass"}), "train.py")
    places: list[str] = []
    threads = [threading.Thread(target=lambda: places.append(upload_bundle(bucket, bundle))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) == 8
    assert len(set(places)) == 1
    got = bucket.get(f"cloudtune/code/{bundle.digest[:32]}/bundle.zip")
    assert got is not None
    assert got.body == bundle.body


@pytest.mark.parametrize("kind", ["write_lost", "answer_lost", "slow_down"])
def test_an_upload_is_there_when_it_is_said_to_be(
    kind: str, bucket: Bucket, faults: CloudFaults, tmp_path: Path
) -> None:
    """A job whose archive were missing would fail at its start: lost and unanswered writes are noticed."""
    bundle = build_bundle(source(tmp_path, {"train.py": "pass"}), "train.py")
    faults.add(kind, operation="s3:PutObject", count=1)
    upload_bundle(bucket, bundle)
    assert faults.fired()
    assert bucket.exists(f"cloudtune/code/{bundle.digest[:32]}/bundle.zip")


@pytest.mark.usefixtures("small_package")
def test_an_archive_that_was_damaged_is_replaced(
    bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Truncated, changed with the same size, or something else of any size: what is uploaded next is whole again."""
    bundle = build_bundle(source(tmp_path, {"train.py": "pass"}), "train.py")
    upload_bundle(bucket, bundle)
    key = f"cloudtune/code/{bundle.digest[:32]}/bundle.zip"
    inside = bundle.body.index(b"__main__.py") + 20
    changed = bundle.body[:inside] + bytes(8) + bundle.body[inside + 8 :]
    for wrong in (bundle.body[:inside], changed, b"", bytes(10_000_000)):
        bucket.put(key, wrong)
        upload_bundle(bucket, bundle)
        assert bucket.get(key).body == bundle.body  # type: ignore[union-attr]
    assert caplog.text.count(f"{key} was changed or damaged after it was uploaded: it is replaced") == 4


@pytest.mark.usefixtures("small_package")
def test_an_archive_packed_elsewhere_is_left(bucket: Bucket, local_cloud: LocalCloud, tmp_path: Path) -> None:
    """Another machine's zlib packs the same content into other bytes: replacing them would go to and fro."""
    bundle = build_bundle(source(tmp_path, {"train.py": "pass"}), "train.py")
    otherwise = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as old, zipfile.ZipFile(otherwise, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry), zipfile.ZIP_STORED)
    key = f"cloudtune/code/{bundle.digest[:32]}/bundle.zip"
    bucket.put(key, otherwise.getvalue())
    upload_bundle(bucket, bundle)
    assert bucket.get(key).body == otherwise.getvalue()  # type: ignore[union-attr]
    assert local_cloud.call_counts()["s3:PutObject"] == 1
