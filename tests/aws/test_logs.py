"""Reading the logs of training jobs that ran in the local cloud."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.logs import TRAINING_LOGS, JobLogs, Tail, run_epoch
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.localcloud.conftest import Trainer, wait_until


@pytest.fixture
def trainer(local_cloud: LocalCloud) -> Trainer:
    return Trainer(local_cloud)


def unpaced() -> Aws:
    """The local cloud has no limits, and tests no time."""
    return Aws(budget=RateBudget({}))


def write(logs: Any, stream: str, lines: list[str]) -> None:
    """Writes lines to a stream of the training jobs' group, beside what jobs write."""
    logs.create_log_stream(logGroupName=TRAINING_LOGS, logStreamName=stream)
    for first in range(0, len(lines), 5000):
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines[first : first + 5000]]
        logs.put_log_events(logGroupName=TRAINING_LOGS, logStreamName=stream, logEvents=events)


@pytest.mark.parametrize(
    ("stream", "epoch"),
    [
        ("job-1/algo-1-1700000000", 1700000000),
        ("job-1/algo-2-1700000000", None),
        ("job-1/algo-11-1700000000", None),
        ("job-11/algo-1-1700000000", None),
        ("job-1/algo-1", None),
        ("job-1", None),
    ],
)
def test_the_streams_of_a_host_are_told_from_others(stream: str, epoch: int | None) -> None:
    """Names that begin alike belong to other jobs and hosts."""
    assert run_epoch(stream, "job-1", "algo-1") == epoch


def test_no_log_is_an_empty_one(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """Neither the group nor a stream need exist."""
    logs = JobLogs(unpaced())
    assert (logs.text("job"), logs.last_lines("job", 5)) == ("", [])
    trainer.create("other", "print('x')")
    local_cloud.wait_for_job("other")
    assert (logs.text("job"), logs.last_lines("job", 5)) == ("", [])


def test_the_log_of_all_runs_in_order(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """After a spot interruption the second run's lines follow the first's; other hosts and jobs are left out."""
    script = """
import os, socket, time
run = "/opt/ml/checkpoints/run"
again = os.path.exists(run)
open(run, "w").close()
print("again" if again else "first", flush=True)
while not again:
    time.sleep(0.01)
print("done")
"""
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
        "CheckpointConfig": {"S3Uri": "s3://data/checkpoints"},
    }
    trainer.create("job-1", script, **spot)
    trainer.wait_for_line("job-1", "first")
    wait_until(lambda: trainer.s3.list_objects_v2(Bucket="data", Prefix="checkpoints/").get("Contents"), "checkpoint")
    local_cloud.interrupt_job("job-1", notice=False)
    local_cloud.wait_for_job("job-1")
    write(trainer.logs, "job-1/algo-11-1", ["another host"])
    write(trainer.logs, "job-11/algo-1-1", ["another job"])
    logs = JobLogs(unpaced())
    assert logs.text("job-1") == "first\nagain\ndone\n"
    assert logs.text("job-1", host="algo-11") == "another host\n"
    assert logs.last_lines("job-1", 2) == ["again", "done"]
    assert logs.last_lines("job-1", 3) == ["first", "again", "done"]
    assert logs.last_lines("job-1", 9) == ["first", "again", "done"]
    assert logs.last_lines("job-1", 0) == []
    assert logs.first_lines("job-1", 1) == ["first"]
    assert logs.first_lines("job-1", 0) == logs.first_lines("job-99", 5) == []


def test_jobs_that_have_a_log(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """Each once, whatever its hosts and runs; others whose names begin so only with the whole prefix."""
    logs = JobLogs(unpaced())
    assert logs.jobs("trials-1-") == []
    trainer.create("trials-1-0", "print('x')")
    local_cloud.wait_for_job("trials-1-0")
    client = local_cloud.client("logs")
    for stream in ("trials-1-10/algo-1-17", "trials-1-10/algo-2-17", "trials-1-10/algo-1-18", "trials-11-0/algo-1-17"):
        write(client, stream, ["x"])
    assert sorted(logs.jobs("trials-1-")) == ["trials-1-0", "trials-1-10"]


def test_all_pages_are_read(local_cloud: LocalCloud) -> None:
    """More lines than CloudWatch gives at a time, and more streams than it lists at a time."""
    lines = [f"line {number}" for number in range(10_500)]
    client = local_cloud.client("logs")
    client.create_log_group(logGroupName=TRAINING_LOGS)
    write(client, "job/algo-1-99", lines)
    logs = JobLogs(unpaced())
    assert logs.text("job").splitlines() == lines
    assert logs.last_lines("job", 10_200) == lines[-10_200:]
    for epoch in range(100, 160):
        write(client, f"job/algo-1-{epoch}", [f"run {epoch}"])
    assert logs.text("job").splitlines() == [*lines, *(f"run {epoch}" for epoch in range(100, 160))]


def test_following_ends_with_the_job(local_cloud: LocalCloud, trainer: Trainer, faults: CloudFaults) -> None:
    """Lines come while the job runs; those that come after its end, late and shuffled, are not missed."""
    faults.add("late_logs", job="job", seconds=0.5)
    faults.add("shuffled_logs", job="job", seconds=0.5)
    trainer.create("job", "for number in range(50): print(number)")

    def ended() -> bool:
        status: str = trainer.describe("job")["TrainingJobStatus"]
        return status == "Completed"

    lines = list(JobLogs(unpaced()).follow("job", ended, every=0.6))
    assert sorted(map(int, lines)) == list(range(50))


def test_a_tail_reads_late_and_shuffled_lines_once(
    local_cloud: LocalCloud, trainer: Trainer, faults: CloudFaults
) -> None:
    """Of several jobs at once, while FilterLogEvents is throttled now and then; others' lines are left out."""
    faults.add("late_logs", job="exp-1", seconds=0.3)
    faults.add("shuffled_logs", job="exp-2", seconds=0.5)
    faults.add("throttle", operation="logs:FilterLogEvents", count=5, skip=2)
    for name in ("exp-1", "exp-2", "exp-3", "other"):
        trainer.create(name, f"for number in range(20): print('{name}', number, flush=True)")
    tail = Tail(unpaced(), "exp-", '"exp"')
    found: list[str] = []

    def all_there() -> bool:
        found.extend(event.message for event in tail.look())
        return len(found) >= 60

    wait_until(all_there, "all lines")
    for name in ("exp-1", "exp-2", "exp-3", "other"):
        local_cloud.wait_for_job(name)
    all_there()
    assert sorted(found) == sorted(f"exp-{job} {number}" for job in (1, 2, 3) for number in range(20))
