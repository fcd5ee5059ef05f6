"""The platform's own way to S3."""

from __future__ import annotations

import gzip
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.jobs.key_locks import KeyLocks
from cloudtune.localcloud.jobs.storage import StorageError
from tests.localcloud.gate.stand_in import StandIn, client, open_gate

BUCKET = "models"
LARGE = 6 * 1024 * 1024 + 1  # moto keeps what is larger than 5 MiB in a temporary file


@pytest.fixture
def cloud() -> Iterator[StandIn]:
    with open_gate() as cloud:
        client("s3").create_bucket(Bucket=BUCKET)
        yield cloud


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_a_file_comes_back_as_it_was_uploaded(cloud: StandIn, tmp_path: Path, size: int) -> None:
    """Through this way and through the API alike, with the ETag that S3 would give it."""
    content = os.urandom(size)
    (tmp_path / "up").write_bytes(content)
    cloud.storage.upload(str(tmp_path / "up"), BUCKET, "folder/a")
    cloud.storage.download(BUCKET, "folder/a", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == content == cloud.storage.read(BUCKET, "folder/a")
    answer = client("s3").get_object(Bucket=BUCKET, Key="folder/a")
    assert answer["Body"].read() == content
    put = client("s3").put_object(Bucket=BUCKET, Key="b", Body=content)
    assert answer["ETag"] == put["ETag"]
    (listed,) = cloud.storage.list(BUCKET, "folder/")
    assert (listed.key, listed.size, f'"{listed.etag}"') == ("folder/a", size, put["ETag"])
    assert listed.modified == pytest.approx(answer["LastModified"].timestamp(), abs=1)
    assert listed.modified == pytest.approx(os.stat(tmp_path / "up").st_mtime, abs=60)


def test_faults_and_limits_and_the_record_are_for_callers_of_the_api(cloud: StandIn, tmp_path: Path) -> None:
    """What the platform moves is neither refused nor counted."""
    cloud.faults.add(Fault("access_denied"))
    before = cloud.calls.counts()
    (tmp_path / "up").write_bytes(b"1")
    cloud.storage.upload(str(tmp_path / "up"), BUCKET, "a")
    assert cloud.storage.read(BUCKET, "a") == b"1"
    assert cloud.calls.counts() == before


def test_what_is_not_there_is_told_with_the_codes_of_s3(cloud: StandIn, tmp_path: Path) -> None:
    """A file is not touched by a download that cannot be."""
    target = tmp_path / "down"
    target.write_bytes(b"before")
    for bucket, code in (("nowhere", "NoSuchBucket"), (BUCKET, "NoSuchKey")):
        with pytest.raises(StorageError, match=bucket) as raised:
            cloud.storage.download(bucket, "a", str(target))
        assert raised.value.code == code
        with pytest.raises(StorageError, match=bucket):
            cloud.storage.read(bucket, "a")
    for use in (lambda: cloud.storage.list("nowhere"), lambda: cloud.storage.upload(str(target), "nowhere", "a")):
        with pytest.raises(StorageError, match="The bucket nowhere does not exist"):
            use()
    assert target.read_bytes() == b"before"
    copied = pickle.loads(pickle.dumps(raised.value))
    assert (copied.code, str(copied)) == (raised.value.code, str(raised.value))


def test_a_file_that_cannot_be_read_changes_nothing(cloud: StandIn, tmp_path: Path) -> None:
    """The object that was there is still there."""
    (tmp_path / "up").write_bytes(b"1")
    cloud.storage.upload(str(tmp_path / "up"), BUCKET, "a")
    with pytest.raises(FileNotFoundError):
        cloud.storage.upload(str(tmp_path / "gone"), BUCKET, "a")
    assert cloud.storage.read(BUCKET, "a") == b"1"


def test_deleted_objects_and_old_versions_are_not_listed(cloud: StandIn, tmp_path: Path) -> None:
    """In a bucket with versions an upload adds one, and a deletion hides them all."""
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"22"):
        (tmp_path / "up").write_bytes(body)
        cloud.storage.upload(str(tmp_path / "up"), BUCKET, "a")
    assert [each.size for each in cloud.storage.list(BUCKET)] == [2]
    assert len(s3.list_object_versions(Bucket=BUCKET)["Versions"]) == 2
    s3.delete_object(Bucket=BUCKET, Key="a")
    assert cloud.storage.list(BUCKET) == []
    with pytest.raises(StorageError, match="no object"):
        cloud.storage.read(BUCKET, "a")


def test_a_download_goes_on_while_the_object_is_replaced(cloud: StandIn, tmp_path: Path) -> None:
    """Every download of a large object is one version, whole; no descriptor is left open."""
    versions = [bytes([number]) * LARGE for number in (1, 2)]
    for number, content in enumerate(versions):
        (tmp_path / f"up-{number}").write_bytes(content)
    cloud.storage.upload(str(tmp_path / "up-0"), BUCKET, "a")
    ended = threading.Event()

    def replace() -> None:
        for number in range(6):
            cloud.storage.upload(str(tmp_path / f"up-{number % 2}"), BUCKET, "a")
        ended.set()

    writer = threading.Thread(target=replace)
    writer.start()
    wrong = 0
    while not ended.is_set():
        cloud.storage.download(BUCKET, "a", str(tmp_path / "down"))
        wrong += (tmp_path / "down").read_bytes() not in versions
    writer.join()
    assert not wrong


names = st.text(st.sampled_from("ab/é"), min_size=1, max_size=6)


def test_lists_are_sorted_and_begin_with_the_prefix(cloud: StandIn, tmp_path: Path) -> None:
    """The same objects in the same order as a listing by the API, for any names and prefixes."""
    (tmp_path / "up").write_bytes(b"1")
    s3 = client("s3")

    @given(st.sets(names, max_size=8), st.text(st.sampled_from("ab/"), max_size=2))
    def compare(keys: set[str], prefix: str) -> None:
        for each in cloud.storage.list(BUCKET):
            s3.delete_object(Bucket=BUCKET, Key=each.key)
        for key in keys:
            cloud.storage.upload(str(tmp_path / "up"), BUCKET, key)
        listed = [each.key for each in cloud.storage.list(BUCKET, prefix)]
        assert listed == sorted(key for key in keys if key.startswith(prefix))
        told = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        assert listed == [each["Key"] for each in told]

    compare()


def test_a_locked_object_waits_for_its_holder(cloud: StandIn) -> None:
    """Whoever holds the lock can look and then write without anybody coming between, the API included."""
    stored = threading.Event()

    def put() -> None:
        client("s3").put_object(Bucket=BUCKET, Key="a", Body=b"theirs")
        stored.set()

    with cloud.storage.locked(BUCKET, "a"):
        writer = threading.Thread(target=put)
        writer.start()
        assert not stored.wait(0.3)
        with pytest.raises(StorageError), cloud.storage.locked(BUCKET, "a"):
            cloud.storage.read(BUCKET, "a")
    writer.join(30)
    assert cloud.storage.read(BUCKET, "a") == b"theirs"


def test_locks_of_several_objects_never_wait_for_each_other() -> None:
    """Threads that lock the same keys in opposite order both come through; so does one that wants all."""
    locks = KeyLocks(stripes=8)
    keys = [("bucket", f"key-{number}") for number in range(8)]

    def hold(order: list[tuple[str, str]] | None) -> None:
        for _ in range(300):
            with locks.holding_all() if order is None else locks.holding(order):
                pass

    threads = [threading.Thread(target=hold, args=(order,), daemon=True) for order in (keys, keys[::-1], None)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_a_compressor_that_is_cut_short(cloud: StandIn) -> None:
    """What it still holds when the writing is ended from outside goes nowhere, and raises nothing later."""

    class Ended(Exception):
        pass

    def end() -> None:
        raise Ended

    with (
        pytest.raises(Ended),
        cloud.storage.writing(BUCKET, "key", end) as new,
        gzip.GzipFile("", "wb", 1, new) as compressed,
    ):
        compressed.write(os.urandom(1 << 20))
    new.write(b"later")
    assert cloud.storage.list(BUCKET) == []
