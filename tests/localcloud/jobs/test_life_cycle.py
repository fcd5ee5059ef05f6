"""Jobs of every shape under every fault, drawn at random: each ends, its record is consistent, nothing is left."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.localcloud.fault import JOB_FAULTS, Fault
from cloudtune.localcloud.jobs.training_job import TERMINAL, TrainingJob
from tests.localcloud.jobs.place import BUCKET, Place, cloud, wait_until

#: Minutes of the cloud pass in milliseconds.
SCALE = 2000.0

ENDS = {
    "completes": "echo 1 > /opt/ml/model/x",
    "fails": "echo why > /opt/ml/output/failure; exit 3",
    "waits": "trap 'exit 0' TERM; for i in 1 2 3 4 5 6 7 8; do sleep 0.02; done",
    "ignores": "trap '' TERM; sleep 0.2",
    "listens": "trap 'echo term; exit 1' TERM; while true; do sleep 0.01; done",
}
#: What may come after a secondary status. Stopping and the last ones may come after all that are not last.
FOLLOWS = {
    "Starting": {"Pending", "Downloading"},
    "Pending": {"Starting"},
    "Downloading": {"Training"},
    "Training": {"Uploading", "Interrupted", "Restarting"},
    "Interrupted": {"Starting"},
    "Restarting": {"Downloading"},
    "Uploading": set(),
    "Stopping": set(),
}
LAST = {"Completed": "Completed", "Failed": "Failed", "Stopped": "Stopped"}
LAST.update(MaxRuntimeExceeded="Stopped", MaxWaitTimeExceeded="Stopped")

SHAPES = st.fixed_dictionaries(
    {
        "end": st.sampled_from(sorted(ENDS)),
        "hosts": st.sampled_from([1, 1, 1, 2]),
        "spot": st.booleans(),
        "checkpoints": st.booleans(),
        "retries": st.integers(0, 2),
        "keep_alive": st.sampled_from([0, 0, 300]),
        "max_runtime": st.sampled_from([300, 1000, 4000]),
        "channel": st.sampled_from(["", "", "data/", "missing/"]),
        "stop_in": st.sampled_from(["", "", "Starting", "Downloading", "Training", "Uploading"]),
    }
)
FAULTS = st.lists(
    st.builds(
        Fault,
        st.sampled_from(sorted(JOB_FAULTS)),
        seconds=st.sampled_from([0.0, 50.0, 200.0]),
        count=st.integers(1, 2),
        notice=st.booleans(),
        job=st.sampled_from(["*", "job-0", "job-1"]),
    ),
    max_size=3,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the clouds of all examples, one after the other."""
    return tmp_path_factory.mktemp("clouds")


def create(place: Place, shape: dict[str, Any]) -> TrainingJob:
    """Creates a job of a drawn shape."""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": shape["hosts"], "VolumeSizeInGB": 1}
    request: dict[str, Any] = {
        "ResourceConfig": {**resources, "KeepAlivePeriodInSeconds": 0 if shape["spot"] else shape["keep_alive"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": shape["max_runtime"]},
        "EnableManagedSpotTraining": shape["spot"],
    }
    if shape["spot"]:
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = shape["max_runtime"] * 2
    if shape["checkpoints"]:
        request["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/ck"}
    if shape["retries"]:
        request["RetryStrategy"] = {"MaximumRetryAttempts": shape["retries"]}
    if shape["channel"]:
        source = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/{shape['channel']}"}}
        request["InputDataConfig"] = [{"ChannelName": "a", "DataSource": source}]
    return place.create("sh", "-c", f"echo up; {ENDS[shape['end']]}", **request)


@settings(max_examples=40)
@given(
    shapes=st.lists(SHAPES, min_size=1, max_size=3),
    faults=FAULTS,
    slots=st.sampled_from([None, 1]),
    start_delay=st.sampled_from([0.0, 30.0]),
)
def test_every_life_ends_well(
    folders: Path, shapes: list[dict[str, Any]], faults: list[Fault], slots: int | None, start_delay: float
) -> None:
    """See above."""
    limits: dict[str, Any] = {"max_running_jobs": slots, "start_delay": start_delay, "sync_interval": 0.01}
    with cloud(folders / "c", time_scale=SCALE, spot_restart_delay=20.0, **limits) as place:
        place.put("data/x", "x")
        for fault in faults:
            place.platform.faults.add(fault)
        jobs = [create(place, shape) for shape in shapes]
        for job, shape in zip(jobs, shapes, strict=True):
            if shape["stop_in"]:
                wait_until(partial(reached, job, shape["stop_in"]))
                if job.want_stop():
                    place.platform.stop_wanted(job)
        for job, shape in zip(jobs, shapes, strict=True):
            place.ended(job)
            check(place, job, shape)
        wait_until(lambda: place.executor.running() == [])


def reached(job: TrainingJob, secondary: str) -> bool:
    """Whether a job is there, or has ended."""
    return job.is_terminal or job.state.secondary == secondary


def check(place: Place, job: TrainingJob, shape: dict[str, Any]) -> None:
    """What must be so for any job that has ended."""
    states = job.states()
    assert states[-1].status in TERMINAL
    assert [state.status in TERMINAL for state in states[:-1]].count(True) <= 2  # a warm pool's states may follow
    for before, after in itertools.pairwise(states):
        assert before.since <= after.since
        if before.secondary != after.secondary:
            assert after.secondary in FOLLOWS[before.secondary] | {"Stopping"} | set(LAST)
    assert LAST[job.state.secondary] == job.status
    described = job.describe()
    assert (job.status == "Failed") == ("FailureReason" in described)
    stopped_early = job.stop_wanted_at is not None
    if job.status == "Completed":
        assert shape["end"] in {"completes", "waits", "ignores"}
        assert not stopped_early
        assert described["ModelArtifacts"]["S3ModelArtifacts"] or shape["end"] != "completes"
    if "TrainingStartTime" in described:
        assert 1 <= described["BillableTimeInSeconds"] <= described["TrainingTimeInSeconds"]
        assert job.created <= described["TrainingStartTime"] <= described["TrainingEndTime"]
        # Rounded up, and not counted while the job waits for another instance.
        assert described["TrainingTimeInSeconds"] <= states[-1].since - described["TrainingStartTime"] + 2
    else:
        assert "BillableTimeInSeconds" not in described
    streams = place.streams(job)
    assert len(streams) <= (job.run + 1) * shape["hosts"]
    assert all(lines[0] == "up" for lines in streams.values())
    if job.status == "Completed":
        assert sum(name.startswith(f"{job.name}/algo-1-") for name in streams) >= 1
    assert job.run == 0 or shape["spot"] or shape["retries"]
