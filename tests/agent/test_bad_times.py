"""Several things at once: the platform ends a job while S3 is down, a pause cannot be saved, no namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudtune.localcloud import CloudSettings, Fault, LocalCloud
from tests.agent.agent_job import AgentJobs
from tests.agent.test_hard_scripts import DAEMON
from tests.localcloud.conftest import wait_until

WAITING = """
import os, signal, sys
from cloudtune import Reporter
folder = sys.argv[sys.argv.index("--st_checkpoint_dir") + 1]
def end(*_):
    open(os.path.join(folder, "last"), "w").write("x")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(os.path.join(folder, "first"), "w").write("x")
Reporter()(epoch=1)
signal.pause()
"""


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """A long grace: who is killed for being slow fails by the test's own time limit."""
    return CloudSettings(stop_grace=100.0)


def struck(jobs: AgentJobs, number: int, times: int) -> None:
    wait_until(lambda: sum(fired.fault_id == number for fired in jobs.cloud.faults.fired()) >= times, "faults")


def test_a_job_that_cannot_reach_s3_is_ended_at_once(jobs: AgentJobs) -> None:
    """It waits for S3 before it starts the script; SIGTERM does not have to wait with it."""
    number = jobs.cloud.faults.add(Fault("slow_down", "s3:*", who="job:*"))
    jobs.create("one", "print('ran')")
    struck(jobs, number, 3)
    jobs.sagemaker.stop_training_job(TrainingJobName="one")
    assert jobs.cloud.wait_for_job("one", timeout=80.0)["status"] == "Stopped"
    assert "ran" not in jobs.lines("one")


def test_a_pause_whose_checkpoint_is_refused_says_which_one_is_there(jobs: AgentJobs) -> None:
    """The trial is paused all the same; who resumes it learns that it goes on from an older state."""
    jobs.create("one", WAITING)
    wait_until(lambda: (jobs.read(jobs.keys.head(7, 2)) or {}).get("checkpoint"), "a checkpoint")
    older = jobs.head()["checkpoint"]
    jobs.cloud.faults.add(Fault("access_denied", "s3:PutObject", who="job:*", resource="*/checkpoints/*"))
    jobs.write_life(t7_2="pause")
    end = jobs.end("one")
    assert end["outcome"] == "paused"
    assert f"the checkpoint is the older one {older}" in end["reason"]
    assert jobs.head()["checkpoint"] == older


def test_a_pause_waits_for_s3(jobs: AgentJobs) -> None:
    """It is granted when the checkpoint is there, and S3 is back soon enough."""
    jobs.create("one", WAITING)
    jobs.wait_for_reports(1)
    number = jobs.cloud.faults.add(Fault("slow_down", "s3:PutObject", who="job:*"))
    jobs.write_life(t7_2="pause")
    struck(jobs, number, 6)
    jobs.cloud.faults.remove(number)
    end = jobs.end("one")
    assert (end["outcome"], end["reason"]) == ("paused", "")
    manifest = jobs.read(jobs.keys.manifest(7, jobs.head()["checkpoint"] or ""))
    assert sorted(file["path"] for file in manifest["files"]) == ["first", "last"]


def test_a_checkpoint_that_cannot_be_restored_fails_the_trial(jobs: AgentJobs) -> None:
    """Training from the beginning without a word would waste what was paid for."""
    jobs.create("one", WAITING)
    jobs.wait_for_reports(1)
    jobs.write_life(t7_2="pause")
    jobs.end("one")
    jobs.write_life()
    jobs.cloud.faults.add(Fault("access_denied", "s3:GetObject", who="job:*", resource="*/checkpoints/*/files/*"))
    jobs.create("two", "print('ran')", attempt=3)
    jobs.cloud.wait_for_job("two")
    end = jobs.read(jobs.keys.end(7, 3))["end"]
    assert end["outcome"] == "failed"
    assert "the checkpoint cannot be restored" in end["reason"]
    assert "ran" not in jobs.lines("two")


def test_a_job_that_may_not_list_goes_on_without_checkpoints_and_says_so(jobs: AgentJobs) -> None:
    """Its reports arrive; a pause of it says that nothing was saved."""
    jobs.cloud.faults.add(Fault("access_denied", "s3:ListObjectsV2", who="job:*"))
    jobs.create("one", WAITING)
    jobs.wait_for_reports(1)
    jobs.write_life(t7_2="pause")
    end = jobs.end("one")
    assert end["outcome"] == "paused"
    assert "there is no checkpoint" in end["reason"]
    assert any("may not keep checkpoints" in line for line in jobs.lines("one"))


@pytest.fixture
def folder_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentJobs]:
    """Jobs as plain processes, whose base is SAGEMAKER_BASE_DIR and whose process id is not 1."""
    with LocalCloud(CloudSettings(sandbox="folders")) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield AgentJobs(cloud)


def test_the_agent_works_without_a_container_of_its_own(folder_jobs: AgentJobs) -> None:
    """On macOS, say: everything is below the base folder, and a daemon of the script is killed in time as well."""
    script = (
        DAEMON
        + """
print(os.environ["SM_MODEL_DIR"] == os.environ["SAGEMAKER_BASE_DIR"] + "/model", os.getcwd().endswith("/code"))
"""
    )
    folder_jobs.create("one", script, checkpoint_interval=1000.0)
    end = folder_jobs.end("one")
    assert end["outcome"] == "completed"
    assert end["output"] == "daemon\nTrue True"
    assert folder_jobs.values() == [1]
    assert folder_jobs.head()["checkpoint"] is not None, folder_jobs.lines("one")
