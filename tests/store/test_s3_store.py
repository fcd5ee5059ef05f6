"""The S3 store: the contract of all stores, and what is its own."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import InProcessCloud
from cloudtune.store import s3_lease
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store
from cloudtune.store.store import Store
from tests.contracts.store_contract import MakeStore, StoreContract, StoreMachine, own
from tests.store.conftest import ROOT
from tests.store.memory_s3 import MemoryBucket, MemoryS3

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


def forget(store: S3Store) -> None:
    """What becomes of the store of a process that is killed: nobody renews its lease any more."""
    lease, writer = store._lease, store._writer
    assert lease is not None
    assert writer is not None
    for thread in (store._log_thread, store._work_thread):
        if thread is not None:
            thread.shutdown(wait=True)
    lease._stop.set()
    assert lease._thread is not None
    lease._thread.join()
    s3_lease._held.discard(lease.nonce)
    writer.chain.close()


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


def opened(bucket: Bucket, **options: Any) -> S3Store:
    store = S3Store(bucket, ROOT, **options)
    store.open()
    return store


def numbers(bucket: Bucket) -> list[int]:
    """Numbers of the reports in the log as everybody reads it."""
    return [entry["number"] for entry in own(S3LogView(bucket, ROOT).entries())]


def results(bucket: Bucket) -> pd.DataFrame:
    got = bucket.get(ROOT + "results.csv.zip")
    assert got is not None
    return pd.read_csv(io.BytesIO(got.body), compression="zip")
