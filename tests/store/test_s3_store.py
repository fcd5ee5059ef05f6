"""The S3 store: the contract of all stores, and what is its own."""

from __future__ import annotations

import gc
import json
import os
import pickle
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.localcloud import InProcessCloud, LocalCloud
from cloudtune.store import s3_packing, s3_store, s3_writer
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store
from cloudtune.store.store import Store
from tests.contracts.store_contract import MakeStore, StoreContract, StoreMachine, own, report, suggest
from tests.store.conftest import ROOT
from tests.store.memory_s3 import MemoryBucket, MemoryS3
from tests.store.opened_s3 import forget, numbers, opened, settle

KEYS = LogKeys(ROOT)


class TestS3Store(StoreContract):
    """The contract, on the local cloud."""

    @pytest.fixture
    def make_store(self, bucket: Bucket) -> MakeStore:
        return lambda: S3Store(bucket, ROOT)

    @pytest.fixture
    def store_source(self, bucket: Bucket) -> str:
        return (
            "from cloudtune.aws.clients import Aws\n"
            "from cloudtune.aws.s3 import Bucket\n"
            "from cloudtune.store.s3_store import S3Store\n"
            "def make_store():\n"
            f"    return S3Store(Bucket(Aws(), {bucket.name!r}), {ROOT!r}, results_update_interval=0)\n"
        )


class S3StoreMachine(StoreMachine):
    """The state machine of the contract, in a bucket that the tests below choose."""

    bucket: Bucket
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.root = f"cloudtune/machine/run-{type(self).runs}"

    def make(self) -> Store:
        return S3Store(self.bucket, self.root)

    def crash(self, store: Store, torn: bytes) -> None:
        """A process is killed while it uploads: S3 keeps nothing of an upload that is not complete."""
        assert isinstance(store, S3Store)
        assert store._writer is not None
        store._writer._lines.append(torn)
        forget(store)


def test_any_life_of_a_store_on_the_local_cloud() -> None:
    """Appends, crashes, re-openings and take-overs in any order leave exactly what was appended."""
    with InProcessCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket="data")
        S3StoreMachine.bucket = Bucket(Aws("us-east-1", budget=RateBudget({})), "data")
        run_state_machine_as_test(
            S3StoreMachine, settings=settings(max_examples=3, stateful_step_count=12, deadline=None)
        )


def test_any_life_of_a_store_in_memory() -> None:
    """The same, much more often."""
    S3StoreMachine.bucket = MemoryBucket(MemoryS3())
    run_state_machine_as_test(S3StoreMachine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None))


@pytest.fixture
def memory() -> MemoryBucket:
    return MemoryBucket(MemoryS3())


def test_what_is_appended_is_in_s3_after_five_seconds(memory: MemoryBucket) -> None:
    """By itself, in one segment however many appends there were; nothing is written where nothing is new."""
    store = opened(memory)
    store.append([{"event": "clock", "time": 1.0}])
    assert store.maintain(100.0) == 104.8
    store.append([{"event": "clock", "time": 2.0}])
    assert store.maintain(103.0) == 104.8
    assert S3LogView(memory, ROOT).length() == 1
    store.maintain(104.8)
    settle(store)
    assert S3LogView(memory, ROOT).length() == 3
    assert KEYS.segment(3) not in memory.s3.objects
    puts = memory.s3.puts
    assert store.maintain(200.0) is None
    store.flush()
    settle(store)
    assert memory.s3.puts == puts
    store.close()


def test_an_owner_reads_its_own_without_asking(bucket: Bucket, local_cloud: LocalCloud) -> None:
    """Reading, counting and making results of a long log cost no request."""
    opened(bucket).close()
    store = opened(bucket)
    store.append([report(0), report(1)])
    store.flush()
    store.append([report(2)])
    before = local_cloud.call_counts()
    assert [entry["number"] for entry in own(store.read())] == [0, 1, 2]
    assert [entry.get("number") for entry in store.read(3)] == [1, 2]
    assert store.length() == 5
    assert local_cloud.call_counts() == before
    store.close()


def test_opening_twice_at_once(memory: MemoryBucket) -> None:
    """Of several that take over at the same moment one drives the experiment, and the log is one sequence."""
    stores = [S3Store(memory, ROOT) for _ in range(5)]

    def take_over(store: S3Store) -> None:
        try:
            store.open(takeover=True)
        except Fenced:
            assert store.epoch == 0

    threads = [threading.Thread(target=take_over, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    able = []
    for store in stores:
        if store.epoch:
            try:
                store.append([report(store.epoch)])
                store.flush()
                able.append(store)
            except Fenced:
                pass
    assert len(able) == 1
    assert numbers(memory) == [able[0].epoch]
    for store in stores:
        store.close()


def test_a_tuner_that_slept_never_replaces_what_its_successor_wrote(memory: MemoryBucket) -> None:
    """Metadata, snapshot and results are replaced only in the version that the writer knows."""
    first, second = opened(memory), S3Store(memory, ROOT)
    first.write_metadata({"of": "the first"})
    first.snapshot(b"of the first")
    second.open(takeover=True)
    second.write_metadata({"of": "the second"})
    second.snapshot(b"of the second")
    with pytest.raises(Fenced):
        first.write_metadata({"of": "a zombie"})
    with pytest.raises(Fenced):
        first.snapshot(b"of a zombie")
    first.close()
    second.close()
    assert json.loads(memory.s3.objects[ROOT + "metadata.json"][0]) == {"of": "the second"}
    assert second.load_snapshot() == b"of the second"


def test_numbers_of_numpy_are_kept_as_numbers(memory: MemoryBucket) -> None:
    """In the log and in the metadata."""
    store = opened(memory)
    store.append([suggest(0, a=np.int32(3), b=np.float32(0.5))])
    store.write_metadata({"b": np.int64(2)})
    store.close()
    assert own(S3LogView(memory, ROOT).entries())[0]["config"] == {"a": 3, "b": 0.5}
    assert json.loads(memory.s3.objects[ROOT + "metadata.json"][0]) == {"b": 2}


def test_a_store_pickles_as_its_bucket_root_and_options(bucket: Bucket, tmp_path: Path) -> None:
    """The copy of an open store is not open, and works on the same experiment; folders do not travel."""
    store = opened(bucket, results_update_interval=3.0, scratch=tmp_path, patience=7.0)
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.root, copy.results_update_interval, copy.patience) == (ROOT, 3.0, 7.0)
    assert (copy.scratch, copy.epoch) == (None, 0)
    with pytest.raises(ExperimentLocked):
        copy.open()
    store.close()
    copy.open()
    copy.close()


def test_nothing_is_left_on_this_machine(memory: MemoryBucket, tmp_path: Path) -> None:
    """No file while it is open, no thread and no open file after; also after an opening that failed."""
    gc.collect()  # what earlier tests have left open
    files, threads = set(os.listdir("/dev/fd")), set(threading.enumerate())
    store = opened(memory, scratch=tmp_path)
    store.append([report(0)])
    store.maintain(100.0)
    store.maintain(110.0)
    store.update_results()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExperimentLocked):
        S3Store(memory, ROOT).open()
    store.close()
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert set(os.listdir("/dev/fd")) <= files


def test_memory_does_not_grow_with_reports(memory: MemoryBucket) -> None:
    """The store keeps no rows: appending and writing the table take the same memory for five times as many reports."""
    store = opened(memory)
    peaks = []
    tracemalloc.start()
    for first in range(0, 15_000, 20):
        store.append([report(first + index, trial=0) for index in range(20)])
        store.flush()
        # What S3 holds is not the store's memory.
        memory.delete([key for key in memory.s3.objects if key.startswith(KEYS.log)])
        if first + 20 in (3_000, 15_000):
            store.update_results()
            peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    store.close()
    assert peaks[1] < 1.6 * peaks[0]


def test_a_very_long_batch_is_put_in_parts(memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not wait for a flush, so that memory stays bounded."""
    monkeypatch.setattr(s3_writer, "_LARGEST", 2000)
    monkeypatch.setattr(s3_store, "_LARGEST_WAITING", 5000)
    store = opened(memory)
    store.append([report(number) for number in range(100)])
    assert numbers(memory) == list(range(100))
    assert max(len(body) for key, (body, _) in memory.s3.objects.items() if key.startswith(KEYS.log)) < 3000
    store.close()


def test_segments_are_packed_in_the_background(memory: MemoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the owner, as it goes; an older part of the log that was not packed, too."""
    monkeypatch.setattr(s3_packing, "RUN", 5)
    store = opened(memory)
    for _ in range(12):
        store.append([{"event": "clock", "time": 1.0}])
        store.flush()
    store.close()
    assert not [key for key in memory.s3.objects if key.startswith(KEYS.packed)]
    store = opened(memory)
    for turn in range(4):
        store.maintain(1000.0 + turn)
        settle(store)
    assert [key for key in sorted(memory.s3.objects) if key.startswith(KEYS.packed)] == [
        KEYS.pack(1, 5),
        KEYS.pack(6, 10),
    ]
    store.close()
