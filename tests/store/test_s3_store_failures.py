"""The S3 store while S3, or this machine's disk, fails: what is waited for, what is told, and that nothing is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cloudtune.aws.errors import AccessDenied, AwsError, Unreachable
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import StorageFull
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.store import s3_packing, s3_writer
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store
from tests.contracts.store_contract import own, report
from tests.store.conftest import ROOT
from tests.store.memory_s3 import OK, REQUEST_LOST, MemoryBucket, MemoryS3
from tests.store.opened_s3 import numbers, opened, results, settle

KEYS = LogKeys(ROOT)


@pytest.fixture
def memory() -> MemoryBucket:
    return MemoryBucket(MemoryS3())


def test_answers_that_are_lost_change_nothing(bucket: Bucket, faults: CloudFaults) -> None:
    """The put that is repeated meets our own segment, and the log goes on; so with all else that the store writes."""
    faults.add("answer_lost", operation="s3:PutObject", probability=0.4)
    store = opened(bucket)
    for number in range(12):
        store.append([report(number)])
        store.flush()
    store.write_metadata({"a": 1})
    store.snapshot(b"state")
    store.close()
    faults.clear()
    assert numbers(bucket) == list(range(12))
    assert store.load_snapshot() == b"state"
    assert len(results(bucket)) == 12


def test_writes_that_s3_confirms_and_forgets(
    bucket: Bucket, faults: CloudFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner notices before it packs, and writes them again: the log has no hole."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    faults.add("write_lost", operation="s3:PutObject", resource="data/*/log/0000000[34].jsonl")
    store = opened(bucket)
    for number in range(8):
        store.append([report(number)])
        store.flush()
    assert numbers(bucket) == [0]
    faults.clear()
    store.maintain(1000.0)
    settle(store)
    assert numbers(bucket) == list(range(8))
    bucket.delete([KEYS.pack(1, 5)])
    assert numbers(bucket) == list(range(8))
    store.close()


@pytest.mark.parametrize("kind", ["internal_error", "slow_down", "request_lost", "answer_lost"])
def test_s3_that_fails_for_a_while_is_waited_for(
    bucket: Bucket, faults: CloudFaults, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several calls in a row fail: one warning, one that says it is over, and nothing is lost."""
    monkeypatch.setattr(s3_writer, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(s3_writer, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(s3_writer, "_WARN_AFTER", 0.0)
    store = opened(bucket)
    faults.add(kind, operation="s3:PutObject", resource="data/*/log/*", count=3)
    store.append([report(0)])
    store.flush()
    store.append([report(1)])
    store.close()
    assert numbers(bucket) == [0, 1]
    warnings = [one.message for one in caplog.records if one.name == s3_writer.__name__]
    assert len(warnings) == 2
    assert "cannot be written to S3 at the moment" in warnings[0]
    assert "can be written to S3 again" in warnings[1]


def test_an_outage_longer_than_patience_raises_and_loses_nothing(
    bucket: Bucket, faults: CloudFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was appended stays in memory, in the results of reading too, and goes out with the next flush."""
    monkeypatch.setattr(s3_writer, "_FIRST_PAUSE", 0.01)
    store = opened(bucket, patience=0.0)
    faults.add("request_lost", operation="s3:PutObject", resource="data/*/log/*")
    for number in range(2):
        store.append([report(number)])
        with pytest.raises(Unreachable):
            store.flush()
    assert [entry["number"] for entry in own(store.read())] == [0, 1]
    store.maintain(100.0)
    store.maintain(105.0)
    settle(store)
    with pytest.raises(Unreachable):
        store.maintain(105.1)
    faults.clear()
    store.flush()
    store.close()
    assert numbers(bucket) == [0, 1]


def test_a_background_failure_is_tried_again(memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is patience left, the turns of the tuner go on and try again."""
    monkeypatch.setattr(s3_writer, "_FIRST_PAUSE", 0.0)
    store = opened(memory)
    monkeypatch.setattr(memory, "_gate", lambda operation, key: REQUEST_LOST if "/log/" in key else OK)
    assert store._writer is not None
    store._writer._impatient = memory
    store.append([{"event": "clock", "time": 1.0}])
    store.maintain(100.0)
    store.maintain(104.8)
    settle(store)
    assert store.maintain(105.0) == 110.0
    monkeypatch.setattr(memory, "_gate", lambda operation, key: OK)
    store.maintain(110.0)
    settle(store)
    assert S3LogView(memory, ROOT).length() == 2
    store.close()


def test_a_refusal_is_told_at_once(bucket: Bucket, faults: CloudFaults) -> None:
    """Missing rights do not come by waiting."""
    store = opened(bucket)
    faults.add("access_denied", operation="s3:PutObject", resource="data/*/log/*")
    store.append([report(0)])
    with pytest.raises(AccessDenied):
        store.flush()
    faults.clear()
    store.close()
    assert numbers(bucket) == [0]


def test_a_bucket_that_is_missing(bucket: Bucket) -> None:
    """The error says so, and no thread stays behind."""
    with pytest.raises(AwsError, match="no-such-bucket"):
        S3Store(Bucket(bucket.aws, "no-such-bucket"), ROOT).open()
    assert not [thread for thread in threading.enumerate() if thread.name == "cloudtune-lease"]


def test_a_scratch_folder_without_room(memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told with the folder's name; with room again the same store goes on, and nothing is lost or doubled."""
    store = opened(memory, scratch=tmp_path)
    assert store._writer is not None
    chain = store._writer.chain
    file = chain._file

    class Full:
        def seek(self, _start: int) -> None:
            pass

        def write(self, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(chain, "_file", Full())
    store.append([report(0)])
    for _ in range(2):
        with pytest.raises(StorageFull, match=str(tmp_path)):
            store.flush()
    monkeypatch.setattr(chain, "_file", file)
    store.append([report(1)])
    store.flush()
    store.close()
    assert numbers(memory) == [0, 1]
