"""The record of API calls."""

from __future__ import annotations

import dataclasses
import threading

from cloudtune.localcloud.gate.call_log import Call, CallLog
from tests.localcloud.hand_clock import HandClock

CREATE = Call(1.0, "sagemaker", "CreateTrainingJob", "client", job="train-1")
PUT = Call(2.0, "s3", "PutObject", "job:train-1", job="train-1", resource="bucket/key")
LIST = Call(3.0, "s3", "ListObjectsV2", "client", resource="bucket")


def test_calls_are_found_by_operation_caller_job_and_time() -> None:
    """Tests assert call budgets with these filters."""
    log = CallLog(HandClock(), 10)
    for call in (CREATE, PUT, LIST):
        log.record(call)
    assert log.calls() == [CREATE, PUT, LIST]
    assert log.calls("s3:*") == [PUT, LIST]
    assert log.calls(who="job:*") == [PUT]
    assert log.calls(job="train-*") == [CREATE, PUT]
    assert log.calls("s3:*", since=2.5) == [LIST]
    assert log.calls("sagemaker:PutObject") == []


def test_old_calls_are_forgotten_but_counted() -> None:
    """Memory stays flat however long a cloud runs, and counts stay true."""
    log = CallLog(HandClock(), 2)
    for _ in range(5):
        log.record(CREATE)
    log.record(PUT)
    assert log.calls() == [CREATE, PUT]
    assert log.counts() == {"sagemaker:CreateTrainingJob": 5, "s3:PutObject": 1}


def test_the_last_seconds_are_those_of_the_cloud() -> None:
    """Rates are judged in cloud time, which may run fast."""
    clock = HandClock()
    log = CallLog(clock, 10)
    clock.at = 100
    for ago in (50, 5):
        log.record(dataclasses.replace(CREATE, at=clock.time() - ago))
    assert [round(clock.time() - call.at) for call in log.last(10)] == [5]


def test_no_call_is_lost_among_threads() -> None:
    """Calls are recorded by all threads of a server at once."""
    log = CallLog(HandClock(), 10_000)

    def record() -> None:
        for _ in range(500):
            log.record(PUT)

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.calls()) == log.counts()["s3:PutObject"] == 4000
