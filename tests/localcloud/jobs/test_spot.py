"""Runs that are taken away: spot interruptions, and errors of the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloudtune.localcloud.fault import Fault
from tests.localcloud.jobs.place import BUCKET, cloud

#: Counts its runs in a checkpoint; the third run completes.
COUNTS = """
import os, pathlib, signal, sys, time
place = pathlib.Path("/opt/ml/checkpoints/count")
count = int(place.read_text()) if place.exists() else 0
def end(*_):
    place.write_text(str(count + 1))
    print("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("run with", count, sorted(os.listdir("/opt/ml/output")), flush=True)
if count < 2:
    time.sleep(600)
"""
SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/ck"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
}


def test_interruptions_with_notice(tmp_path: Path) -> None:
    """The container may save; the job goes on as a new run with that checkpoint, and completes; less is billed."""
    with cloud(tmp_path / "c", time_scale=10.0) as place:
        job = place.python(COUNTS, **SPOT)
        for run in range(2):
            place.wait_for_line(job, f"run with {run} ['data', 'intermediate']")
            place.platform.faults.add(Fault("spot_interruption", seconds=5, count=1))
        place.ended(job)
        assert job.status == "Completed", job.state
        assert job.run == 2
        streams = place.streams(job)
        assert list(streams.values()) == [
            ["run with 0 ['data', 'intermediate']", "saved"],
            ["run with 1 ['data', 'intermediate']", "saved"],
            ["run with 2 ['data', 'intermediate']"],
        ]
        assert place.secondaries(job) == [
            *["Starting", "Downloading", "Training", "Interrupted"] * 2,
            "Starting",
            "Downloading",
            "Training",
            "Uploading",
            "Completed",
        ]
        described = job.describe()
        assert described["TrainingTimeInSeconds"] >= 10
        assert described["BillableTimeInSeconds"] < described["TrainingTimeInSeconds"]


def test_interruption_without_notice(tmp_path: Path) -> None:
    """Only what was uploaded before is there in the next run; other jobs are spared."""
    script = """
echo "found $(ls /opt/ml/checkpoints)"
if test -e /opt/ml/checkpoints/early; then exit 0; fi
echo 1 > /opt/ml/checkpoints/early; trap 'echo 2 > /opt/ml/checkpoints/late' TERM; while true; do sleep 0.05; done
"""
    with cloud(tmp_path / "c", sync_interval=0.01) as place:
        job = place.create("sh", "-c", script, **SPOT)
        place.wait_for(lambda: "ck/early" in place.objects())
        assert place.executor.interrupt(job, notice=False)
        place.ended(job)
        assert job.status == "Completed", job.state
        assert place.lines(job) == ["found ", "found early"]
        assert not place.executor.interrupt(job)
        place.platform.faults.add(Fault("spot_interruption"))
        assert place.run("sh", "-c", "sleep 0.1").run == 0


def test_a_stop_while_a_new_instance_is_looked_for(tmp_path: Path) -> None:
    """An interrupted job that is stopped ends as Stopped, and what it has cost is told."""
    with cloud(tmp_path / "c", spot_restart_delay=3600) as place:
        place.platform.faults.add(Fault("spot_interruption", count=1, notice=False))
        job = place.python(COUNTS, **SPOT)
        place.wait_for(lambda: job.state.secondary == "Interrupted")
        place.stop(job)
        place.ended(job)
        assert (job.status, job.run) == ("Stopped", 1)
        assert job.state.training_seconds
        assert job.state.training_end is not None


def test_without_checkpoints_it_begins_anew(tmp_path: Path) -> None:
    """A job without CheckpointConfig finds nothing of its first run."""
    script = "ls /opt/ml/model; echo x > /opt/ml/model/x; exec sleep 1"
    with cloud(tmp_path / "c") as place:
        place.platform.faults.add(Fault("spot_interruption", count=1, notice=False))
        job = place.run("sh", "-c", script, EnableManagedSpotTraining=True)
        assert (job.status, job.run) == ("Completed", 1)
        assert place.lines(job) == []


def test_errors_of_the_platform(tmp_path: Path) -> None:
    """A run is begun again as often as the request's RetryStrategy has it; then the job fails in AWS's words."""
    script = "echo run; test -e /opt/ml/checkpoints/x || sleep 600"
    with cloud(tmp_path / "c") as place:
        place.platform.faults.add(Fault("job_internal_error", job="retried", count=2))
        retried = place.run("sh", "-c", "sleep 1", name="retried", RetryStrategy={"MaximumRetryAttempts": 2})
        fails = place.create("sh", "-c", script, RetryStrategy={"MaximumRetryAttempts": 1})
        for run in range(2):
            place.wait_for(lambda run=run: place.lines(fails) == ["run"] * (run + 1))  # type: ignore[misc]
            place.platform.faults.add(Fault("job_internal_error", count=1))
        place.ended(fails)
        assert (retried.status, retried.run) == ("Completed", 2)
        assert place.secondaries(retried).count("Restarting") == 2
        assert (fails.status, fails.run) == ("Failed", 1)
        assert fails.state.failure_reason == (
            "InternalServerError: We encountered an internal error. Please try again."
        )
        assert list(place.streams(fails).values()) == [["run"], ["run"]]


def test_no_capacity(tmp_path: Path) -> None:
    """The job fails before it starts and costs nothing."""
    with cloud(tmp_path / "c") as place:
        place.platform.faults.add(Fault("capacity"))
        job = place.run("true")
        assert (job.state.failure_reason or "").startswith("CapacityError: Unable to provision")
        assert "BillableTimeInSeconds" not in job.describe()
