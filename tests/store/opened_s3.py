"""An S3 store that is opened or killed, and what it has left in S3."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from cloudtune.aws.s3 import Bucket
from cloudtune.store import s3_lease
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_store import S3Store
from tests.contracts.store_contract import own
from tests.store.conftest import ROOT


def forget(store: S3Store) -> None:
    """What becomes of the store of a process that is killed: nobody renews its lease any more."""
    lease, writer = store._lease, store._writer
    assert lease is not None
    assert writer is not None
    for thread in (store._log_thread, store._work_thread):
        if thread is not None:
            thread.shutdown(wait=True)
    lease.ended.set()
    assert lease._thread is not None
    lease._thread.join()
    s3_lease._held.discard(lease.nonce)
    writer.chain.close()


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


def settle(store: S3Store) -> None:
    """Waits for what the store does in the background."""
    told = None if store._study is None else store._study.job
    for job in (store._log_job, store._results_job, store._packing_job, told):
        if job is not None:
            job.exception(timeout=60)
