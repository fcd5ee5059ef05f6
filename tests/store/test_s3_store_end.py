"""The S3 store of a tuner that is ended by force soon, while S3 does not answer: it waits no longer than that."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from cloudtune.aws.errors import ServiceFailure, Unreachable
from cloudtune.aws.s3 import Bucket
from cloudtune.store import last_seconds, s3_writer
from cloudtune.store.entries import CLOCK, END, REPORT
from cloudtune.store.last_seconds import LastSeconds
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store
from tests.aws.conftest import wait_until
from tests.contracts.store_contract import report
from tests.store.conftest import ROOT
from tests.store.memory_s3 import OK, REQUEST_LOST, MemoryBucket, MemoryS3
from tests.store.opened_s3 import opened

#: Without the limit each of these waits for a minute at least.
pytestmark = pytest.mark.timeout(40)

LOG = LogKeys(ROOT).log


class Trouble:
    """What S3 does to calls of some keys: it fails, or does not answer before the test is over."""

    def __init__(self) -> None:
        self.meets: Callable[[str, str], bool] = lambda operation, key: False
        self.hangs = False
        self.over = threading.Event()
        self.bucket = MemoryBucket(MemoryS3(), self._gate)

    def _gate(self, operation: str, key: str) -> str:
        if self.over.is_set() or not self.meets(operation, key):
            return OK
        if self.hangs:
            self.over.wait()
            return OK
        return REQUEST_LOST

    def begin(self, part: str, hangs: bool = False) -> None:
        """Puts of objects below a prefix have no answer from now on."""
        self.meets = lambda operation, key: operation == "put" and key.startswith(part)
        self.hangs = hangs


def fails_twice() -> Callable[[str, str], bool]:
    """Meets the first two puts of the log."""
    failures = iter([True, True])
    return lambda operation, key: operation == "put" and key.startswith(LOG) and next(failures, False)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """It is over after the test."""
    monkeypatch.setattr(last_seconds, "_AFTER", 0.0)
    monkeypatch.setattr(s3_writer, "_FIRST_PAUSE", 0.01)
    made = Trouble()
    yield made
    made.over.set()


def numbers(bucket: Bucket) -> list[int]:
    """Of the reports in the log as everybody reads it."""
    view = S3LogView(bucket, ROOT)
    assert view.damage is None
    return [entry["number"] for entry in view.entries() if entry["event"] == REPORT]


def received(store: S3Store) -> None:
    """Entries that nobody has flushed."""
    store.append([report(0), report(1), {"event": END, "trial": 0}, {"event": CLOCK, "time": 1.0}])


@pytest.mark.parametrize("hangs", [False, True])
def test_a_log_that_cannot_be_written_any_more(trouble: Trouble, hangs: bool) -> None:
    """Closing ends in the time that is left, and its error says what was received and is not known to be in S3."""
    store = opened(trouble.bucket)
    store.append([report(7)])
    store.flush()
    store.end_by(lambda: 0.2)
    received(store)
    trouble.begin(LOG, hangs)
    with pytest.raises(
        Unreachable, match=r"last 4 entries \(reports: 2, ends of trials: 1\) are not known to be there"
    ):
        store.close()
    assert store.epoch == 0
    trouble.over.set()
    assert 7 in numbers(trouble.bucket)


def test_the_error_keeps_its_kind(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever catches it can tell why, as of every error of AWS."""
    store = opened(trouble.bucket)
    received(store)
    store.end_by(lambda: 0.2)
    failure = ServiceFailure("S3 failed; try again later.", "InternalError", "s3:PutObject")
    assert store._writer is not None

    def fail() -> None:
        raise failure

    monkeypatch.setattr(store._writer, "put_once", fail)
    with pytest.raises(ServiceFailure, match=r"continue the experiment .*\(S3 failed; try again later\)$") as caught:
        store.close()
    assert (caught.value.code, caught.value.operation) == ("InternalError", "s3:PutObject")


@pytest.mark.parametrize("hangs", [False, True])
def test_results_that_cannot_be_written_any_more(
    trouble: Trouble, hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """They are told to be behind the log, which has everything: that is no error."""
    store = opened(trouble.bucket)
    store.end_by(lambda: 0.3)
    received(store)
    trouble.begin(ROOT + "results", hangs)
    with caplog.at_level(logging.WARNING):
        store.close()
    assert "results.csv.zip is behind the event log, which has everything" in caplog.text
    assert numbers(trouble.bucket) == [0, 1]


@pytest.mark.parametrize("hangs", [False, True])
def test_a_lease_that_cannot_be_given_back(trouble: Trouble, hangs: bool) -> None:
    """It ends by itself; everything else is written."""
    store = opened(trouble.bucket)
    received(store)
    store.end_by(lambda: 0.3)
    trouble.begin(LogKeys(ROOT).lease, hangs)
    store.close()
    assert numbers(trouble.bucket) == [0, 1]


@pytest.mark.parametrize("hangs", [False, True])
def test_flushing_after_the_process_was_told_to_end(
    trouble: Trouble, hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up long before our patience does: the trials are to be told, too. What it leaves, a later flush puts."""
    monkeypatch.setattr(last_seconds, "LONGEST", 0.2)
    store = opened(trouble.bucket)
    store.end_by(lambda: 100.0)
    received(store)
    trouble.begin(LOG, hangs)
    for _ in range(2):
        with pytest.raises(Unreachable):
            store.flush()
    trouble.over.set()
    store.flush()
    store.close()
    assert numbers(trouble.bucket) == [0, 1]


def test_flushing_while_the_process_is_told_to_end(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush that S3 keeps waiting already ends soon, too, with all that was appended kept."""
    monkeypatch.setattr(last_seconds, "LONGEST", 0.2)
    left = [math.inf]
    store = opened(trouble.bucket)
    store.end_by(lambda: left[0])
    received(store)
    trouble.begin(LOG)
    told = threading.Timer(0.2, lambda: left.__setitem__(0, 100.0))
    told.start()
    with pytest.raises(Unreachable):
        store.flush()
    told.join()
    assert [entry["number"] for entry in store.read() if entry["event"] == REPORT] == [0, 1]
    trouble.over.set()
    store.close()
    assert numbers(trouble.bucket) == [0, 1]


def test_a_failure_that_passes_is_waited_for(trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a process that was told to end long ago."""
    now = 0.0
    monkeypatch.setattr(last_seconds, "time", SimpleNamespace(monotonic=lambda: now))
    store = opened(trouble.bucket)
    store.end_by(lambda: 100.0)
    for number in range(3):
        trouble.meets = fails_twice()
        store.append([report(number)])
        store.flush()
        now += 30.0
    store.close()
    assert numbers(trouble.bucket) == [0, 1, 2]


def test_where_nobody_waits_for_the_end() -> None:
    """Work is done in the very thread, however long it takes, and errors come as they are."""
    last = LastSeconds()
    assert last.left() == math.inf
    threads: list[threading.Thread] = []
    last.run(lambda: threads.append(threading.current_thread()), longest=0.0)
    assert threads == [threading.current_thread()]
    last.check()()
    with pytest.raises(KeyError):
        last.run(lambda: os.environ["NOBODY_SETS_THIS"])


def test_nothing_in_the_log_is_doubled_by_a_put_that_comes_late(trouble: Trouble) -> None:
    """The put that was left to itself may still reach S3 when the next tuner has begun: it meets that one's segment."""
    store = opened(trouble.bucket)
    received(store)
    store.end_by(lambda: 0.1)
    trouble.begin(LOG, hangs=True)
    with pytest.raises(Unreachable):
        store.close()
    trouble.meets = lambda operation, key: False
    following = opened(trouble.bucket)
    following.append([report(5)])
    following.close()
    trouble.over.set()
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "cloudtune-last"])
    assert numbers(trouble.bucket) == [5]
