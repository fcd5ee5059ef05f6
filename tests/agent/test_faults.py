"""An agent among faults: S3 that does not answer, spot instances that are taken away, rights that are missing."""

from __future__ import annotations

import pytest

from cloudtune.agent.log_lines import EndLine, ReportLine, parse_line
from cloudtune.localcloud import CloudSettings, Fault
from tests.agent.agent_job import BUCKET, AgentJobs
from tests.localcloud.conftest import wait_until

SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600},
}
#: Reports one epoch after the other, saving before each report; goes on where its checkpoint ended; waits at the end.
RESUMING = """
import os, signal, sys
from cloudtune import Reporter
folder = sys.argv[sys.argv.index("--st_checkpoint_dir") + 1]
path = os.path.join(folder, "epoch")
epoch = int(open(path).read()) if os.path.exists(path) else 0
report = Reporter()
last = 3 if epoch == 0 else 6
while epoch < last:
    epoch += 1
    with open(path + ".new", "w") as file:
        file.write(str(epoch))
    os.replace(path + ".new", path)
    report(epoch=epoch)
if last == 3:
    signal.pause()
"""
STEADY = """
import time
from cloudtune import Reporter
report = Reporter()
for epoch in range(40):
    report(epoch=epoch)
    time.sleep(0.05)
"""


def log_reports(jobs: AgentJobs, name: str) -> tuple[list[dict[str, object]], list[EndLine]]:
    """Reports and end marks in the log of a job, the reports in order of their numbers."""
    found = [parse_line(line) for line in jobs.lines(name)]
    reports = [one for one in found if isinstance(one, ReportLine)]
    assert [one.number for one in reports] == list(range(len(reports)))
    return [one.metrics for one in reports], [one for one in found if isinstance(one, EndLine)]


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Short notices."""
    return CloudSettings(stop_grace=20.0, spot_notice=20.0)


@pytest.mark.parametrize("kind", ["slow_down", "internal_error", "request_lost", "answer_lost"])
def test_an_s3_that_fails_for_a_while_loses_nothing(jobs: AgentJobs, kind: str) -> None:
    """Nothing reaches S3 for longer than boto3 tries; the script goes on, and all arrives once and in order."""
    jobs.create("one", STEADY)
    jobs.wait_for_reports(3)
    number = jobs.cloud.faults.add(Fault(kind, "s3:*", who="job:*"))
    wait_until(lambda: sum(fired.fault_id == number for fired in jobs.cloud.faults.fired()) >= 5, "faults")
    jobs.cloud.faults.remove(number)
    assert jobs.end("one")["outcome"] == "completed"
    assert jobs.values() == list(range(40))


def test_an_s3_that_is_down_at_the_end_gets_the_end_mark_later(jobs: AgentJobs) -> None:
    """The container waits with its end until the tuner can learn how it ended."""
    script = "from cloudtune import Reporter; import sys; Reporter()(epoch=1); sys.exit(3)"
    number = jobs.cloud.faults.add(Fault("slow_down", "s3:PutObject", who="job:*", skip=2))
    jobs.create("one", script)
    wait_until(lambda: sum(fired.fault_id == number for fired in jobs.cloud.faults.fired()) >= 6, "faults")
    assert jobs.read(jobs.keys.end(7, 2)) is None
    jobs.cloud.faults.remove(number)
    end = jobs.end("one")
    assert (end["outcome"], end["exit_code"]) == ("failed", 3)
    assert jobs.values() == [1]


def test_an_s3_that_is_down_at_the_start_delays_the_script(jobs: AgentJobs) -> None:
    """What came before is not known yet: the script starts when it is, through S3 as if nothing had been."""
    number = jobs.cloud.faults.add(Fault("internal_error", "s3:*", who="job:*"))
    jobs.create("one", "from cloudtune import Reporter; Reporter()(epoch=1)")
    wait_until(lambda: sum(fired.fault_id == number for fired in jobs.cloud.faults.fired()) >= 5, "faults")
    jobs.cloud.faults.remove(number)
    assert jobs.end("one")["outcome"] == "completed"
    assert jobs.values() == [1]


@pytest.mark.parametrize("notice", [True, False])
def test_a_spot_interruption_continues_as_a_new_run(jobs: AgentJobs, notice: bool) -> None:
    """The next run goes on from the checkpoint; reports of both runs are there once; with notice the end is known."""
    jobs.create("one", RESUMING, request=SPOT)
    jobs.wait_for_reports(3)
    wait_until(lambda: jobs.head()["checkpoint"], "a checkpoint")
    wait_until(lambda: _epoch_saved(jobs) == "3", "the last state")
    jobs.cloud.interrupt_job("one", notice=notice)
    assert jobs.end("one")["outcome"] == "completed"
    assert [(run, report["epoch"]) for run, _, report in jobs.reports()] == [
        (0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (1, 6),
    ]  # fmt: skip
    head = jobs.head()
    assert head["run"] == 1
    assert [tuple(chunk) for chunk in head["chunks"]] == [(0, 0, 3)]
    ended = head["ended_runs"]
    assert ([end["outcome"] for end in ended.values()] == ["terminated"]) if notice else not ended


def _epoch_saved(jobs: AgentJobs) -> str:
    """What the newest checkpoint holds."""
    name = jobs.head()["checkpoint"]
    if name is None:
        return ""
    (file,) = jobs.read(jobs.keys.manifest(7, name))["files"]
    body: bytes = jobs.s3.get_object(Bucket=BUCKET, Key=file["key"])["Body"].read()
    return body.decode()


def test_three_runs_keep_all_their_reports(jobs: AgentJobs) -> None:
    """Each run hands the tail of the one before over as a chunk."""
    script = """
import signal
from cloudtune import Reporter
Reporter()(epoch=1)
signal.pause()
"""
    jobs.create("one", script, request=SPOT)
    for run in range(3):
        wait_until(
            lambda run=run: [report[0] for report in jobs.reports()] == list(range(run + 1)),  # type: ignore[misc]
            f"run {run}",
        )
        if run < 2:
            jobs.cloud.interrupt_job("one", notice=run == 0)
    jobs.write_life(t7_2="stop")
    assert jobs.end("one")["outcome"] == "stopped"
    assert list(jobs.head()["ended_runs"]) == ["0"]
    assert [run for run, _, _ in jobs.reports()] == [0, 1, 2]


def test_an_attempt_that_had_ended_is_not_done_again(jobs: AgentJobs) -> None:
    """The platform starts a container again after its own failure: what was completed stays so."""
    jobs.create("one", "from cloudtune import Reporter; Reporter()(epoch=1); print('ran')")
    jobs.end("one")
    jobs.create("again", "print('ran')")
    assert jobs.end("again")["outcome"] == "completed"
    assert "ran" not in jobs.lines("again")
    assert jobs.values() == [1]


def test_a_job_stopped_from_the_console_ends_as_terminated(jobs: AgentJobs) -> None:
    """Whoever stops it: the reports until then and the end mark arrive."""
    jobs.create("one", "from cloudtune import Reporter; import signal; Reporter()(epoch=1); signal.pause()")
    jobs.wait_for_reports(1)
    jobs.cloud.faults.add(Fault("console_stop", job="one"))
    assert jobs.end("one")["outcome"] == "terminated"
    assert jobs.values() == [1]


def test_a_role_without_rights_falls_back_to_the_log(jobs: AgentJobs) -> None:
    """The agent says so, and reports and the end mark are in the log."""
    jobs.cloud.faults.add(Fault("access_denied", "s3:*", who="job:*"))
    jobs.create("one", "from cloudtune import Reporter; [Reporter()(epoch=e) for e in range(3)]")
    jobs.cloud.wait_for_job("one")
    assert any(line.startswith("[cloudtune]: the job's role has no rights on s3://") for line in jobs.lines("one"))
    reports, ends = log_reports(jobs, "one")
    assert [report["epoch"] for report in reports] == [0, 1, 2]
    assert [(end.end["outcome"], end.reports) for end in ends] == [("completed", 3)]
    assert jobs.read(jobs.keys.head(7, 2)) is None


def test_a_role_that_may_not_write_falls_back_to_the_log(jobs: AgentJobs) -> None:
    """The first put is refused: the script runs, its reports are in the log."""
    jobs.cloud.faults.add(Fault("access_denied", "s3:PutObject", who="job:*"))
    jobs.create("one", "from cloudtune import Reporter; Reporter()(epoch=1)")
    jobs.cloud.wait_for_job("one")
    reports, ends = log_reports(jobs, "one")
    assert [report["epoch"] for report in reports] == [1]
    assert ends[0].end["outcome"] == "completed"


def test_a_role_that_may_not_list_is_no_hindrance(jobs: AgentJobs) -> None:
    """Without s3:ListBucket a missing object reads as denied: the first head of an attempt is put all the same."""
    jobs.cloud.faults.add(Fault("access_denied", "s3:GetObject", who="job:*", resource="*/inbox/*"))
    jobs.create("one", "from cloudtune import Reporter; Reporter()(epoch=1)")
    assert jobs.end("one")["outcome"] == "completed"
    assert jobs.values() == [1]


def test_rights_that_are_taken_away_later_end_in_a_plain_note(jobs: AgentJobs) -> None:
    """Reports that cannot be shipped any more do not break the script; the log says why they are missing."""
    jobs.create("one", STEADY)
    jobs.wait_for_reports(1)
    number = jobs.cloud.faults.add(Fault("access_denied", "s3:PutObject", who="job:*"))
    wait_until(lambda: any("goes on trying" in line for line in jobs.lines("one")), "a note")
    jobs.cloud.faults.remove(number)
    assert jobs.end("one")["outcome"] == "completed"
    assert jobs.values() == list(range(40))
    assert "[cloudtune]: reports are shipped again" in jobs.lines("one")
