"""Jobs with several hosts: the first speaks for all."""

from __future__ import annotations

import pytest

from tests.agent.agent_job import BUCKET, AgentJobs
from tests.localcloud.conftest import wait_until

TWO = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}}


@pytest.mark.defect("R12")
def test_two_hosts_that_report_count_once(jobs: AgentJobs) -> None:
    """Both run the script; the reports of the first host are the trial's, the other's are nowhere."""
    script = """
import os
from cloudtune import Reporter
print("I am", os.environ["SM_CURRENT_HOST"], os.environ["SM_CURRENT_HOST_RANK"], os.environ["SM_HOST_COUNT"])
for epoch in range(3):
    Reporter()(epoch=epoch, host=os.environ["SM_CURRENT_HOST"])
"""
    jobs.create("one", script, request=TWO)
    assert jobs.end("one")["outcome"] == "completed"
    assert [(report["epoch"], report["host"]) for _, _, report in jobs.reports()] == [
        (0, "algo-1"), (1, "algo-1"), (2, "algo-1"),
    ]  # fmt: skip
    assert {line for line in jobs.lines("one") if line.startswith("I am")} == {"I am algo-1 0 2", "I am algo-2 1 2"}
    written = {call.resource for call in jobs.cloud.calls("s3:PutObject", who="job:one")}
    assert written == {f"trials/{jobs.keys.head(7, 2)}", f"trials/{jobs.keys.end(7, 2)}"}


def test_a_wish_ends_all_hosts(jobs: AgentJobs) -> None:
    """Every host watches the life object itself."""
    jobs.create(
        "one", "from cloudtune import Reporter; import signal; Reporter()(epoch=1); signal.pause()", request=TWO
    )
    jobs.wait_for_reports(1)
    jobs.write_life(t7_2="stop")
    assert jobs.end("one")["outcome"] == "stopped"
    assert jobs.describe("one")["TrainingJobStatus"] == "Completed"


def test_the_death_of_another_host_fails_the_job(jobs: AgentJobs) -> None:
    """Its exit code fails its container, and so the job; the first host is ended by the platform."""
    script = """
import os, signal, sys, time
from cloudtune import Reporter
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    import boto3
    s3 = boto3.client("s3")
    while b"epoch" not in s3.get_object(Bucket="trials", Key=sys.argv[1])["Body"].read():
        time.sleep(0.05)
    print("no memory", flush=True)
    sys.exit(9)
Reporter()(epoch=1)
signal.pause()
"""
    jobs.s3.put_object(Bucket=BUCKET, Key=jobs.keys.head(7, 2), Body=b"none yet")
    jobs.create("one", script, request=TWO, arguments=[jobs.keys.head(7, 2)])
    wait_until(lambda: jobs.describe("one")["TrainingJobStatus"] == "Failed", "the failure")
    assert "exit code 9" in jobs.describe("one")["FailureReason"]
    assert jobs.values() == [1]
