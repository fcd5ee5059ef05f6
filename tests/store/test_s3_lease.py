"""Who may take the lease of an experiment in S3, and when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudtune.aws.errors import Unreachable
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store import processes, s3_lease
from cloudtune.store.s3_lease import S3Lease, read_lease
from cloudtune.store.s3_segments import LogKeys
from tests.aws.conftest import wait_until
from tests.store.conftest import ROOT
from tests.store.memory_s3 import ANSWER_LOST, OK, REQUEST_LOST, RETRIED, MemoryBucket, MemoryS3

KEY = LogKeys(ROOT).lease


@pytest.fixture
def memory() -> MemoryBucket:
    return MemoryBucket(MemoryS3())


@pytest.fixture
def make() -> Iterator[Callable[..., S3Lease]]:
    """Leases, all given back in the end."""
    made: list[S3Lease] = []

    def lease(bucket: MemoryBucket, job_is_over: Callable[[str], bool] | None = None, every: float = 1e6) -> S3Lease:
        made.append(S3Lease(bucket, ROOT, job_is_over, every))
        return made[-1]

    yield lease
    for one in made:
        one.release()


def change(memory: MemoryBucket, **owner: Any) -> None:
    """Makes the lease one of another owner."""
    said = json.loads(memory.s3.objects[KEY][0])
    said["owner"].update(owner)
    memory.s3.put(KEY, json.dumps(said).encode())


ELSEWHERE = {"boot_id": "another", "host": "laptop"}


def test_an_owner_keeps_others_off_until_it_gives_the_lease_back(
    memory: MemoryBucket, make: Callable[..., S3Lease]
) -> None:
    """The other learns who drives the experiment, since when, how long ago it was heard of, and how to take over."""
    lease = make(memory)
    owner = lease.acquire()
    memory.s3.now += 12.0
    with pytest.raises(
        ExperimentLocked,
        match=rf"'experiment' is driven by pid {os.getpid()} on host .* since 20.* "
        r"\(last sign of life 12 seconds ago\);.*--takeover.*ends 90 seconds after",
    ):
        make(memory).acquire()
    state = read_lease(memory, ROOT)
    assert state is not None
    assert (state.owner, state.is_alive, state.age) == (owner, True, 12.0)
    lease.release()
    state = read_lease(memory, ROOT)
    assert state is not None
    assert not state.is_alive
    make(memory).acquire()


def test_nobody_has_ever_driven_it(memory: MemoryBucket) -> None:
    """Then there is nothing to say."""
    assert read_lease(memory, ROOT) is None


@pytest.mark.parametrize("skew", [-36_000.0, 0.0, 36_000.0])
def test_a_lease_ends_by_the_clock_of_s3(
    memory: MemoryBucket, make: Callable[..., S3Lease], monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    """However wrong the clocks of the machines are."""
    make(memory).acquire()
    change(memory, **ELSEWHERE)
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + skew)
    memory.s3.now += 90.0
    with pytest.raises(ExperimentLocked, match="on host laptop"):
        make(memory).acquire()
    memory.s3.now += 1.0
    make(memory).acquire()


def test_an_unknown_age_is_not_stale(
    memory: MemoryBucket, make: Callable[..., S3Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where S3 does not say what time it is, nobody is taken for dead."""
    make(memory).acquire()
    change(memory, **ELSEWHERE)
    look = MemoryBucket.look

    def without_age(self: MemoryBucket, key: str) -> Any:
        seen = look(self, key)
        return None if seen is None else type(seen)(seen.body, seen.etag, None)

    monkeypatch.setattr(MemoryBucket, "look", without_age)
    with pytest.raises(ExperimentLocked):
        make(memory).acquire()


def test_a_dead_process_of_this_machine_holds_nobody_off(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """Also where its number is another's by now; one of another machine or container may live."""
    make(memory).acquire()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pid = process.pid
    change(memory, pid=pid, pid_space="another")
    with pytest.raises(ExperimentLocked):
        make(memory).acquire()
    change(memory, pid_space=processes.process_identity()["pid_space"])
    make(memory).acquire()
    change(memory, pid=os.getpid(), pid_start=1)
    make(memory).acquire()


def test_a_living_process_of_this_machine_is_seen(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """Another process that runs is no dead one."""
    make(memory).acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        change(memory, pid=process.pid, pid_start=processes._start(process.pid))
        with pytest.raises(ExperimentLocked, match=f"pid {process.pid} "):
            make(memory).acquire()


def test_a_restarted_container_takes_its_own_jobs_lease(
    memory: MemoryBucket, make: Callable[..., S3Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, without waiting for it to end; another job waits."""
    monkeypatch.setenv("TRAINING_JOB_NAME", "tuner-1")
    make(memory).acquire()
    change(memory, **ELSEWHERE)
    monkeypatch.setenv("TRAINING_JOB_NAME", "tuner-2")
    with pytest.raises(ExperimentLocked, match="driven by training job tuner-1, pid"):
        make(memory).acquire()
    monkeypatch.setenv("TRAINING_JOB_NAME", "tuner-1")
    make(memory).acquire()


def test_a_job_that_is_over_holds_nobody_off(
    memory: MemoryBucket, make: Callable[..., S3Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SageMaker is asked about it; where it does not answer, the lease counts."""
    monkeypatch.setenv("TRAINING_JOB_NAME", "tuner-1")
    make(memory).acquire()
    monkeypatch.delenv("TRAINING_JOB_NAME")
    change(memory, **ELSEWHERE)

    def unreachable(name: str) -> bool:
        raise Unreachable(name)

    for answer in (unreachable, lambda _name: False):
        with pytest.raises(ExperimentLocked):
            make(memory, answer).acquire()
    make(memory, lambda name: name == "tuner-1").acquire()


def test_what_is_no_lease_is_somebodys(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """Until it is old: then it is replaced."""
    memory.s3.put(KEY, b"rubbish")
    with pytest.raises(ExperimentLocked, match="driven by another process"):
        make(memory).acquire()
    memory.s3.now += 100
    make(memory).acquire()


def test_taking_over_fences_the_owner_at_its_next_renewal(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """It says who has it now, and its giving back leaves the new owner's lease alone."""
    first, second = make(memory), make(memory)
    first.acquire()
    second.acquire(takeover=True)
    first.check()
    first._renew(memory)
    with pytest.raises(Fenced, match=f"'experiment' was taken over by pid {os.getpid()} on host"):
        first.check()
    first.release()
    second.confirm()
    with pytest.raises(ExperimentLocked):
        make(memory).acquire()


def test_asking_shows_a_loss_at_once(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """Before anything that matters S3 can be asked."""
    first = make(memory)
    first.acquire()
    first.confirm()
    make(memory).acquire(takeover=True)
    with pytest.raises(Fenced):
        first.confirm()


@pytest.mark.parametrize("fate", [ANSWER_LOST, RETRIED, REQUEST_LOST])
def test_a_renewal_without_an_answer_fences_nobody(
    memory: MemoryBucket, make: Callable[..., S3Lease], fate: str
) -> None:
    """Our own object is what the next try meets: it is ours."""
    fates = [OK]
    lease = make(MemoryBucket(memory.s3, lambda operation, _key: fates[0] if operation == "put" else OK))
    lease.acquire()
    fates[0] = fate
    try:
        lease._renew(lease._bucket)
    except Unreachable:
        assert fate != RETRIED
    fates[0] = OK
    lease._renew(lease._bucket)
    lease.check()
    lease.release()
    state = read_lease(memory, ROOT)
    assert state is not None
    assert state.released


def test_a_lease_whose_renewal_got_no_answer_is_given_back(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """Nobody has to wait for its end because an answer was lost just before."""
    fates = [OK]
    lease = make(MemoryBucket(memory.s3, lambda operation, _key: fates[0] if operation == "put" else OK))
    lease.acquire()
    fates[0] = ANSWER_LOST
    with pytest.raises(Unreachable):
        lease._renew(lease._bucket)
    fates[0] = OK
    lease.release()
    state = read_lease(memory, ROOT)
    assert state is not None
    assert state.released


def test_a_lease_that_somebody_deleted_is_written_again(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """A person has tidied up: that fences nobody, and the lease stands again."""
    lease = make(memory)
    lease.acquire()
    memory.delete([KEY])
    lease._renew(memory)
    lease.check()
    with pytest.raises(ExperimentLocked):
        make(memory).acquire()


def test_what_this_process_has_left_behind_is_its_own(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """The answer to its taking was lost for good: the same process may take it again."""
    lost = make(MemoryBucket(memory.s3, lambda operation, _key: ANSWER_LOST if operation == "put" else OK))
    with pytest.raises(Unreachable):
        lost.acquire()
    assert KEY in memory.s3.objects
    make(memory).acquire()


def test_it_is_renewed_by_itself(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """Again and again, through failures, and with the epoch once that is known; not any more once it is given back."""
    failures = iter([OK, REQUEST_LOST, OK, ANSWER_LOST])
    bucket = MemoryBucket(memory.s3, lambda operation, _key: next(failures, OK) if operation == "put" else OK)
    lease = make(bucket, None, 0.01)
    lease.acquire()
    lease.begin_epoch(7)
    wait_until(lambda: json.loads(memory.s3.objects[KEY][0])["beat"] > 6, "renewals")
    state = read_lease(memory, ROOT)
    assert state is not None
    assert state.epoch == 7
    lease.check()
    lease.release()
    puts = memory.s3.puts
    assert json.loads(memory.s3.objects[KEY][0])["released"] is True
    assert lease._thread is None
    assert memory.s3.puts == puts


def test_the_renewing_thread_ends_when_the_lease_is_lost(memory: MemoryBucket, make: Callable[..., S3Lease]) -> None:
    """It finds out by itself, and writes nothing any more."""
    lease = make(memory, None, 0.01)
    lease.acquire()
    thread = lease._thread
    assert thread is not None
    make(memory).acquire(takeover=True)
    thread.join(60)
    assert not thread.is_alive()
    with pytest.raises(Fenced):
        lease.check()


def test_defaults_are_those_of_the_design() -> None:
    """180 writes an hour, and four missed renewals before a lease is taken for stale."""
    assert (s3_lease.RENEW_INTERVAL, s3_lease.STALE_AFTER) == (20.0, 90.0)
