"""How a run ends before its script has: by a wish, by the platform, for want of a tuner."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cloudtune.localcloud import CloudSettings
from tests.agent.agent_job import AgentJobs
from tests.localcloud.conftest import wait_until

PATIENT = """
import os, signal, sys, time
from cloudtune import Reporter
folder = sys.argv[sys.argv.index("--st_checkpoint_dir") + 1]
def end(number, frame):
    with open(os.path.join(folder, "state"), "w") as file:
        file.write("told")
    print("told to end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
Reporter()(epoch=1)
signal.pause()
"""
STUBBORN = """
import signal
from cloudtune import Reporter
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Reporter()(epoch=1)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_a_wish_ends_the_script_in_order(jobs: AgentJobs, wish: str) -> None:
    """SIGTERM reaches the script, its last state is saved, the end mark tells why; the job counts as completed."""
    jobs.create("one", PATIENT)
    jobs.wait_for_reports(1)
    jobs.write_life(t7_2=wish, t7_1="stop", t8_2="stop")
    end = jobs.end("one")
    assert end["outcome"] == {"stop": "stopped", "pause": "paused"}[wish]
    assert end["output"] == "told to end"
    checkpoint = jobs.head()["checkpoint"]
    assert checkpoint is not None
    manifest = jobs.read(jobs.keys.manifest(7, checkpoint))
    assert [file["path"] for file in manifest["files"]] == ["state"]
    assert manifest["reports"] == 1
    assert jobs.describe("one")["TrainingJobStatus"] == "Completed"


def test_wishes_for_others_are_none_of_ours(jobs: AgentJobs) -> None:
    """An attempt heeds its own entry only."""
    jobs.create("one", PATIENT)
    jobs.wait_for_reports(1)
    looks = len(jobs.cloud.calls("s3:GetObject", who="job:one"))
    jobs.write_life(t7_1="stop", t8_2="stop", t77_2="pause")
    wait_until(lambda: len(jobs.cloud.calls("s3:GetObject", who="job:one")) > looks + 3, "more looks")
    assert jobs.head()["state"] == "running"
    jobs.write_life(stop_all="pause")
    assert jobs.end("one")["outcome"] == "paused"


@pytest.mark.defect("E6")
def test_one_object_stops_all_jobs_of_an_experiment(jobs: AgentJobs) -> None:
    """``stop_all`` is one put, whatever the number of jobs; none is stopped through the API."""
    for number in range(3):
        jobs.create(f"job-{number}", PATIENT, trial=number)
    for number in range(3):
        wait_until(lambda n=number: (jobs.read(jobs.keys.head(n, 2)) or {}).get("reports"), "reports")  # type: ignore[misc]
    jobs.write_life(stop_all="stop")
    for number in range(3):
        jobs.cloud.wait_for_job(f"job-{number}")
        assert jobs.read(jobs.keys.end(number, 2))["end"]["outcome"] == "stopped"
    assert "sagemaker:StopTrainingJob" not in jobs.cloud.call_counts()


def test_a_wish_that_was_there_before_the_job_starts_no_script(jobs: AgentJobs) -> None:
    """A trial that was stopped while its job waited for a machine costs no training."""
    jobs.write_life(t7_2="stop")
    jobs.create("one", "print('ran')", watch_interval=60.0)
    assert jobs.end("one")["outcome"] == "stopped"
    assert "ran" not in jobs.lines("one")


def test_a_script_that_ignores_sigterm_is_killed_after_its_grace(jobs: AgentJobs) -> None:
    """The wish is carried out all the same."""
    jobs.create("one", STUBBORN, stop_grace=0.3)
    jobs.wait_for_reports(1)
    jobs.write_life(t7_2="stop")
    end = jobs.end("one")
    assert (end["outcome"], end["signal"]) == ("stopped", 9)


def test_children_of_a_shell_script_get_their_grace(jobs: AgentJobs) -> None:
    """sh dies of SIGTERM at once; the training process that it started may still save its state."""
    slow = PATIENT.replace('    print("told', '    time.sleep(0.5)\n    print("told')
    jobs.create("one", slow, source={"run.sh": 'python train.py "$@"\necho after\n'}, entry_point="run.sh")
    jobs.wait_for_reports(1)
    jobs.write_life(t7_2="pause")
    assert jobs.end("one")["output"] == "told to end"


def test_a_script_that_ended_by_itself_is_completed_whatever_was_wished_later(jobs: AgentJobs) -> None:
    """A wish that comes too late does not change what happened."""
    jobs.create("one", "print('quick')", watch_interval=60.0)
    assert jobs.end("one")["outcome"] == "completed"
    jobs.write_life(t7_2="stop")
    assert jobs.end("one")["outcome"] == "completed"


def _live_until(jobs: AgentJobs, happened: Callable[[], object]) -> None:
    """Gives signs of life until it has happened."""

    def has_happened() -> object:
        jobs.write_life()
        return happened()

    wait_until(has_happened, "the end of the tuner's life")


def test_a_silent_tuner_pauses_its_jobs(jobs: AgentJobs) -> None:
    """Dead-man switch: the checkpoint is saved, the reason says why, and no job runs on for nobody."""
    jobs.create("one", PATIENT, life_timeout=5.0)
    _live_until(jobs, jobs.reports)
    end = jobs.end("one")
    assert end["outcome"] == "paused"
    assert "sign of life" in end["reason"]
    assert jobs.head()["checkpoint"] is not None


def test_a_tuner_that_lives_keeps_its_jobs(jobs: AgentJobs) -> None:
    """As long as the life object changes, nothing is paused."""
    timeout = 5.0
    jobs.create("one", PATIENT, life_timeout=timeout)
    _live_until(jobs, jobs.reports)
    over = time.monotonic() + timeout + 1
    _live_until(jobs, lambda: time.monotonic() > over)
    assert jobs.head()["state"] == "running"
    jobs.write_life(t7_2="stop")
    assert jobs.end("one")["outcome"] == "stopped"


def test_the_platform_ends_a_job_in_order(jobs: AgentJobs) -> None:
    """StopTrainingJob: the script is told, its checkpoint saved, the end mark says terminated."""
    jobs.create("one", PATIENT)
    jobs.wait_for_reports(1)
    jobs.sagemaker.stop_training_job(TrainingJobName="one")
    end = jobs.end("one")
    assert end["outcome"] == "terminated"
    assert end["output"] == "told to end"
    assert jobs.head()["checkpoint"] is not None
    assert jobs.describe("one")["TrainingJobStatus"] == "Stopped"


def test_the_platform_ends_a_job_that_installs(jobs: AgentJobs) -> None:
    """SIGTERM before the script has begun ends in order as well."""
    # A pip that takes for ever.
    pip = "import signal\nprint('installing for ever', flush=True)\nsignal.pause()\n"
    jobs.create(
        "one",
        "print('ran')",
        source={"requirements.txt": "x\n", "pip/__main__.py": pip, "pip/__init__.py": ""},
        request={"Environment": {"PYTHONPATH": "/opt/ml/code"}},
    )
    wait_until(lambda: "installing for ever" in jobs.lines("one"), "the installer")
    jobs.sagemaker.stop_training_job(TrainingJobName="one")
    assert jobs.end("one")["outcome"] == "terminated"
    assert "ran" not in jobs.lines("one")


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """SIGKILL follows SIGTERM: who does not end in order is found out, who is only slow is not."""
    return CloudSettings(stop_grace=50.0)
