"""The S3 store puts all results of an experiment into one object when it ends, for those who gather a study."""

from __future__ import annotations

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.store.results import read_results
from cloudtune.store.results_object import ResultsObject
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_store import S3Store
from cloudtune.store.store import Entry
from cloudtune.store.study_results import results_key
from tests.contracts.store_contract import report, suggest
from tests.store.conftest import ROOT
from tests.store.memory_s3 import REQUEST_LOST, MemoryBucket, MemoryS3
from tests.store.opened_s3 import forget, opened, settle
from tests.store.tables import all_of

KEY = "cloudtune/study/_study/results/experiment.table"
METADATA = {"metric_names": ["loss"], "seed": 3}


@pytest.fixture
def memory() -> MemoryBucket:
    return MemoryBucket(MemoryS3())


def finish(state: str = "finished") -> Entry:
    return {"event": "finish", "why": "enough", "state": state, "time": 9.0}


def written(bucket: Bucket) -> ResultsObject:
    got = bucket.get(KEY)
    assert got is not None
    return ResultsObject(got.body, "experiment", KEY)


def end(store: S3Store, *entries: Entry) -> None:
    """What the tuner does at its end."""
    store.append(list(entries))
    store.update_results()
    store.write_metadata(METADATA)
    store.close()


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_an_experiment_that_ends(bucket: Bucket, state: str) -> None:
    """Its table is that of the log with all types, its metadata those of metadata.json, and how it ended is said."""
    store = opened(bucket)
    store.append([suggest(0, lr=0.5, layers=[1, 2], name=None), suggest(1, lr=1, layers=[], name="a")])
    store.append([report(0), report(10, metrics={"loss": float("nan"), "epoch": 1, "ok": True, "note": "x"})])
    end(store, finish(state))
    back = written(bucket)
    view = S3LogView(bucket, ROOT)
    assert all_of(back.table().unpacked()) == all_of(read_results(view.blocks()))
    assert (back.heading.state, back.heading.entries, back.heading.epoch) == (state, view.length(), 1)
    assert back.metadata == METADATA


def test_an_end_without_a_state(memory: MemoryBucket) -> None:
    """Older tuners did not say how they ended: in order."""
    end(opened(memory), {"event": "finish", "why": "enough", "time": 9.0})
    assert written(memory).heading.state == "finished"


def test_while_it_runs_the_object_says_so(memory: MemoryBucket) -> None:
    """From the first turn of the loop on, by a single put; one that is closed without an end leaves it so."""
    store = opened(memory)
    assert not memory.exists(KEY)
    store.maintain(1000.0)
    settle(store)
    assert written(memory).heading.state == "running"
    assert not written(memory).is_whole
    puts = memory.s3.puts
    store.maintain(5000.0)
    settle(store)
    assert memory.s3.puts == puts
    store.write_metadata(METADATA)
    store.close()
    assert not written(memory).is_whole


def test_an_experiment_that_is_continued(memory: MemoryBucket) -> None:
    """While it runs again the old table does not count; at its end the new one takes its place."""
    store = opened(memory)
    end(store, suggest(0, lr=0.5), report(0), finish("interrupted"))
    assert written(memory).heading.rows == 1
    store = opened(memory)
    store.maintain(1000.0)
    settle(store)
    assert (written(memory).is_whole, written(memory).heading.epoch) == (False, 2)
    end(store, report(1), finish())
    back = written(memory)
    assert (back.heading.rows, back.heading.epoch, back.heading.state) == (2, 2, "finished")
    assert back.heading.entries == S3LogView(memory, ROOT).length()


def test_a_tuner_that_is_killed(memory: MemoryBucket) -> None:
    """What it leaves says that the log counts, also after its end is in the log and the table is not written."""
    store = opened(memory)
    store.maintain(1000.0)
    settle(store)
    store.append([suggest(0, lr=0.5), report(0), finish()])
    store.flush()
    forget(store)
    assert not written(memory).is_whole


def test_without_metadata_there_is_no_table(memory: MemoryBucket) -> None:
    """Results that nobody could tell the meaning of are left to the log."""
    store = opened(memory)
    store.append([suggest(0, lr=0.5), report(0), finish()])
    store.close()
    assert not memory.exists(KEY)


def test_a_tuner_that_was_fenced(memory: MemoryBucket) -> None:
    """It writes nothing over what its successor says."""
    first = opened(memory)
    first.maintain(1000.0)
    settle(first)
    first.write_metadata(METADATA)
    first.append([report(0), finish()])
    second = S3Store(memory, ROOT)
    second.open(takeover=True)
    second.maintain(1000.0)
    settle(second)
    first.close()
    assert (written(memory).is_whole, written(memory).heading.epoch) == (False, 2)
    end(second, report(1), finish())
    assert written(memory).heading.epoch == 2


def test_it_cannot_be_written(bucket: Bucket, faults: CloudFaults, caplog: pytest.LogCaptureFixture) -> None:
    """Closing works, with a warning that names the object: gathering reads the log, which has everything."""
    store = opened(bucket)
    faults.add("access_denied", operation="s3:PutObject", resource="data/*_study/*")
    store.maintain(1000.0)
    settle(store)
    end(store, suggest(0, lr=0.5), report(0), finish())
    assert f"s3://data/{KEY} was not written, so gathering reads the event log" in caplog.text
    assert S3LogView(bucket, ROOT).length() == 4
    faults.clear()
    opened(bucket).close()


def test_saying_that_it_runs_is_tried_again() -> None:
    """A passing failure costs nothing but a minute."""
    lost = True

    def gate(operation: str, key: str) -> str:
        return REQUEST_LOST if lost and key == KEY and operation == "put" else "ok"

    memory = MemoryBucket(MemoryS3(), gate)
    store = opened(memory)
    for now in (1000.0, 1030.0):
        store.maintain(now)
        settle(store)
    lost = False
    store.maintain(1059.0)
    settle(store)
    assert not memory.exists(KEY)
    store.maintain(1061.0)
    settle(store)
    assert memory.exists(KEY)
    store.close()


@pytest.mark.parametrize(
    ("root", "key"),
    [
        ("cloudtune/tag/name/", "cloudtune/tag/_study/results/name.table"),
        ("team/a/cloudtune/tag/name/", "team/a/cloudtune/tag/_study/results/name.table"),
        ("elsewhere/tag/name/", None),
        ("name/", None),
        ("cloudtune/tag/../", None),
        ("cloudtune/t g/name/", None),
    ],
)
def test_whose_results_are_where(memory: MemoryBucket, root: str, key: str | None) -> None:
    """Only experiments that lie as those of studies do have such an object; the others need none."""
    assert results_key(memory, root) == key


def test_an_experiment_of_no_study(memory: MemoryBucket) -> None:
    """It runs and ends as all do, and writes nothing beside itself."""
    store = S3Store(memory, "elsewhere/experiment/")
    store.open()
    store.maintain(1000.0)
    settle(store)
    end(store, report(0), finish())
    assert {key.partition("/")[0] for key in memory.s3.objects} == {"elsewhere"}
