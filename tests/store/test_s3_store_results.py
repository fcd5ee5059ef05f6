"""The results that the S3 store derives from its log."""

from __future__ import annotations

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud.cloud import CloudFaults
from tests.contracts.store_contract import report, suggest
from tests.store.conftest import ROOT
from tests.store.memory_s3 import MemoryBucket, MemoryS3
from tests.store.opened_s3 import forget, numbers, opened, results, settle


@pytest.fixture
def memory() -> MemoryBucket:
    return MemoryBucket(MemoryS3())


def test_results_are_refreshed_when_due(memory: MemoryBucket) -> None:
    """At once for the first report, then not before the interval has passed, nor before rows grew by a tenth."""
    store = opened(memory, results_update_interval=10.0)

    def rows_after(now: float) -> int:
        store.maintain(now)
        settle(store)
        return len(results(memory))

    store.append([report(0)])
    assert rows_after(1000.0) == 1
    store.append([report(number) for number in range(1, 100)])
    assert rows_after(1005.0) == 1
    assert rows_after(1010.0) == 100
    store.append([report(number) for number in range(100, 110)])
    assert rows_after(1030.0) == 100
    store.append([report(110)])
    assert rows_after(1040.0) == 111
    store.append([report(111)])
    store.close()
    assert len(results(memory)) == 112


def test_results_are_those_of_the_whole_log(memory: MemoryBucket) -> None:
    """Of all epochs, with their configurations; a file that somebody deleted is made again."""
    store = opened(memory)
    store.append([suggest(0, lr=0.5), report(0)])
    store.close()
    memory.delete([ROOT + "results.csv.zip"])
    store = opened(memory)
    store.append([report(1)])
    store.update_results()
    assert list(results(memory)["config_lr"]) == [0.5, 0.5]
    puts = memory.s3.puts
    store.close()
    assert memory.s3.puts == puts + 1, "only the lease: results are up to date"


def test_results_of_a_killed_owner_are_refreshed_without_a_report(memory: MemoryBucket) -> None:
    """They may be far behind: the next owner writes them with its first maintenance, once, beside its other work."""
    killed = opened(memory)
    killed.append([suggest(0, lr=0.5), *(report(number) for number in range(5))])
    killed.flush()
    forget(killed)
    store = opened(memory)
    assert not memory.exists(ROOT + "results.csv.zip")
    store.maintain(1000.0)
    settle(store)
    assert len(results(memory)) == 5
    puts = memory.s3.puts
    store.maintain(2000.0)
    settle(store)
    assert memory.s3.puts == puts
    store.close()


def test_results_that_cannot_be_written_cost_a_warning(
    bucket: Bucket, faults: CloudFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """Closing works: the log has everything."""
    store = opened(bucket)
    faults.add("access_denied", operation="s3:PutObject", resource="data/*/results.csv.zip")
    store.append([report(0)])
    store.close()
    assert "results.csv.zip is behind the event log, which has everything" in caplog.text
    assert numbers(bucket) == [0]
    opened(bucket).close()
