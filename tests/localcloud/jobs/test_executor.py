"""Many jobs at once, and clouds that are taken down."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cloudtune.localcloud.jobs.job_folders import JobFolders
from cloudtune.localcloud.jobs.orders import Orders
from tests.localcloud.jobs.place import cloud


def test_clouds_that_close_under_their_jobs(tmp_path: Path) -> None:
    """Jobs in every phase are killed and leave nothing; their records stay in progress."""
    with cloud(tmp_path / "c", max_running_jobs=3) as place:
        training = place.create("sh", "-c", "trap '' TERM; setsid sleep 600 & echo up; sleep 600")
        stopping = place.create("sh", "-c", "trap '' TERM; echo up; sleep 600")
        for job in (training, stopping):
            place.wait_for_line(job, "up")
        place.stop(stopping)
        place.create("sleep", "600")
        pending = place.create("true")
        place.wait_for(lambda: pending.state.secondary == "Pending")
        names = {name: phase for name, _, _, phase in place.executor.running()}
        assert (names[training.name], names[stopping.name]) == ("Training", "Stopping")
        place.platform.close()
        assert (training.status, stopping.status, pending.status) == ("InProgress", "Stopping", "InProgress")
        late = place.create("true")
        assert place.executor.running() == []
        assert late.status == "InProgress"


def test_jobs_that_are_forgotten(tmp_path: Path) -> None:
    """After a reset of moto the cloud goes on with new jobs."""
    with cloud(tmp_path / "c") as place:
        job = place.create("sleep", "600")
        place.wait_for(lambda: job.state.secondary == "Training")
        place.platform.forget_jobs()
        assert place.executor.running() == []
        assert place.run("true").status == "Completed"


def test_as_many_jobs_as_are_allowed(tmp_path: Path) -> None:
    """With two places never more than two jobs run; all have their turn, in order of their creation."""
    with cloud(tmp_path / "c", max_running_jobs=2) as place:
        jobs = [place.create("sh", "-c", "sleep 0.05") for _ in range(8)]
        for job in jobs:
            place.ended(job)
        spans = [(job.state.training_start or 0.0, job.state.since) for job in jobs]
        for begin, _ in spans:
            assert sum(other <= begin < end for other, end in spans) <= 2
        assert "Pending" in place.secondaries(jobs[-1])
        assert [span[0] for span in spans[:6:2]] == sorted(span[0] for span in spans[:6:2])


def test_many_jobs_at_once(tmp_path: Path) -> None:
    """Thirty jobs that talk, save and end together all complete, with every line."""
    script = "for i in $(seq 200); do echo line $i; done; echo $TRAINING_JOB_NAME > /opt/ml/model/name"
    with cloud(tmp_path / "c") as place:
        jobs = [place.create("sh", "-c", script) for _ in range(30)]
        for job in jobs:
            place.ended(job)
            assert job.status == "Completed", job.state
            assert place.lines(job) == [f"line {number}" for number in range(1, 201)]
            assert place.archive(f"out/{job.name}/output/model.tar.gz") == {"name": job.name.encode() + b"\n"}


@pytest.mark.parametrize("kind", ["namespaces", "folders"])
def test_both_sandboxes(tmp_path: Path, kind: str) -> None:
    """A script that asks its environment for its folder runs alike with and without namespaces."""
    script = "echo $SAGEMAKER_BASE_DIR; cat /opt/ml/input/config/hyperparameters.json; echo 1 > /opt/ml/model/x"
    with cloud(tmp_path / "c", sandbox=kind) as place:
        job = place.run("sh", "-c", script, HyperParameters={"a": "1"})
        assert job.status == "Completed", job.state
        assert '{"a": "1"}' in place.lines(job)[-1]
        assert place.objects() == [f"out/{job.name}/output/model.tar.gz"]


def test_what_a_killed_cloud_has_left(tmp_path: Path) -> None:
    """The folders of a cloud that was killed go away with the first job of the next; those of living ones stay."""
    program = (
        "import os, sys; from cloudtune.localcloud.jobs.job_folders import JobFolders\n"
        "open(JobFolders(sys.argv[1], 'killed').new() + '/file', 'w').close(); os.kill(os.getpid(), 9)"
    )
    place = tmp_path / "place"
    subprocess.run([sys.executable, "-c", program, str(place)], check=False)
    assert [name.startswith("cloudtune-jobs-killed-") for name in os.listdir(place)] == [True]
    (place / "new-cloud-just-being-made").mkdir()
    living, next_one = JobFolders(str(place), "living"), JobFolders(str(place), "next")
    kept = living.new()
    next_one.new()
    assert os.path.isdir(kept)
    assert sorted(name.split("-")[2] for name in os.listdir(place)) == ["just", "living", "next"]
    assert all(os.stat(path).st_mode & 0o777 == 0o700 for path in place.iterdir() if "jobs" in path.name)
    for folders in (living, next_one, next_one):
        folders.close()
    assert os.listdir(place) == ["new-cloud-just-being-made"]


def test_more_than_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descriptors or threads for it a job fails and says so; nobody waits for it, and the next one runs."""

    def too_many(*_: object) -> None:
        raise OSError(24, "Too many open files")

    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with cloud(tmp_path / "c") as place:
        with monkeypatch.context() as patch:
            patch.setattr(Orders, "__init__", too_many)
            first = place.create("true")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            second = place.create("true")
        assert "Too many open files" in (first.state.failure_reason or "")
        assert (second.state.failure_reason or "").startswith("InternalServerError")
        assert place.run("true").status == "Completed"


def test_a_cloud_that_cannot_run_jobs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where folders cannot be made the cloud says so when it is prepared, and each job when it fails."""
    with cloud(tmp_path / "c") as place:
        (tmp_path / "file").touch()
        place.executor.folders = JobFolders(str(tmp_path / "file" / "below"), "name")
        place.executor.prepare()
        assert "jobs will not run" in caplog.text
        job = place.run("true")
        assert "Not a directory" in (job.state.failure_reason or "")


def test_the_first_line_comes_soon(tmp_path: Path) -> None:
    """A line is in CloudWatch while the job runs, without more output pushing it there."""
    with cloud(tmp_path / "c") as place:
        job = place.create("sh", "-c", "echo first; sleep 600")
        place.wait_for_line(job, "first")
        assert not job.wait(0)
