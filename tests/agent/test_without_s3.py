"""The mode without S3: reports and the end mark are lines of the log."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.agent.log_lines import EndLine, ReportLine, parse_line
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.agent.agent_job import AgentJobs
from tests.localcloud.conftest import wait_until
from tests.old_python import python38

REPORTS = """
import sys
from cloudtune import Reporter
report = Reporter()
print("progress 10%", end="", flush=True)
for epoch in range(200):
    report(epoch=epoch, note="x" * 500)
    print("half a line ", end="", flush=True)
    print("error", end="", file=sys.stderr, flush=True)
"""


def told(jobs: AgentJobs, name: str) -> tuple[list[ReportLine], list[EndLine]]:
    """What the log of a job tells."""
    found = [parse_line(line) for line in jobs.lines(name)]
    return [one for one in found if isinstance(one, ReportLine)], [one for one in found if isinstance(one, EndLine)]


def test_reports_and_end_are_lines_that_the_script_cannot_tear(jobs: AgentJobs) -> None:
    """Every report is there whole, numbered, whatever the script prints without ends of lines."""
    jobs.create("one", REPORTS, use_s3=False)
    jobs.cloud.wait_for_job("one")
    reports, ends = told(jobs, "one")
    assert [report.number for report in reports] == list(range(200))
    assert [report.metrics["epoch"] for report in reports] == list(range(200))
    assert len({report.run_id for report in reports}) == 1
    ((run_id, end, count),) = ends
    assert (run_id, count, end["outcome"]) == (reports[0].run_id, 200, "completed")
    assert not [call for call in jobs.cloud.calls(who="job:one") if call.service == "s3"]


def test_a_job_without_network_runs(jobs: AgentJobs) -> None:
    """Network isolation: what the agent needs came by the channels."""
    jobs.create("one", REPORTS, use_s3=False, request={"EnableNetworkIsolation": True})
    assert jobs.cloud.wait_for_job("one")["status"] == "Completed"
    assert len(told(jobs, "one")[0]) == 200


def test_only_the_platform_ends_such_a_job(jobs: AgentJobs) -> None:
    """A wish is not seen; StopTrainingJob ends the script in order, and the end mark is in the log."""
    script = """
import signal, sys
from cloudtune import Reporter
signal.signal(signal.SIGTERM, lambda *_: (print("told"), sys.exit(0)))
Reporter()(epoch=1)
signal.pause()
"""
    jobs.write_life(stop_all="stop")
    jobs.create("one", script, use_s3=False)
    wait_until(lambda: told(jobs, "one")[0], "a report")
    jobs.sagemaker.stop_training_job(TrainingJobName="one")
    jobs.cloud.wait_for_job("one")
    (end,) = told(jobs, "one")[1]
    assert (end.end["outcome"], end.end["output"]) == ("terminated", "told")


def test_a_failed_script_is_told_of(jobs: AgentJobs) -> None:
    """Exit code and output are in the end mark and in the FailureReason."""
    jobs.create("one", "import sys; print('sorry'); sys.exit(3)", use_s3=False)
    jobs.cloud.wait_for_job("one")
    (end,) = told(jobs, "one")[1]
    assert (end.end["outcome"], end.end["exit_code"], end.end["output"]) == ("failed", 3, "sorry")
    assert "exit code 3" in jobs.describe("one")["FailureReason"]


@pytest.fixture(scope="module")
def old_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare environment without boto3: of a Python 3.8 where there is one, else of the system's oldest to be found."""
    folder = tmp_path_factory.mktemp("image") / "venv"
    interpreter = python38() or shutil.which("python3") or "python3"
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


@pytest.fixture
def old_jobs(old_image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentJobs]:
    """Jobs whose image is that environment."""
    with LocalCloud(CloudSettings(images={"*": str(old_image)})) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield AgentJobs(cloud)


def test_an_image_without_boto3_and_with_an_old_python_reports_through_the_log(old_jobs: AgentJobs) -> None:
    """The agent says what is missing, and everything but S3 works: no module of it needs a newer Python."""
    script = "import sys; print('python', *sys.version_info[:2])\n" + REPORTS
    old_jobs.create("one", script, config={"a": 1}, pass_args_as_json=True)
    assert old_jobs.cloud.wait_for_job("one")["status"] == "Completed", old_jobs.lines("one")
    lines = old_jobs.lines("one")
    assert any(line.startswith("[cloudtune]: image without boto3") for line in lines), lines
    if python38():
        assert "python 3 8" in lines
    reports, ends = told(old_jobs, "one")
    assert [report.number for report in reports] == list(range(200))
    assert ends[0].end["outcome"] == "completed"
