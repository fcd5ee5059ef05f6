"""Reports from the logs of jobs that ran in the local cloud, with faults."""

from __future__ import annotations

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.backend.sagemaker_backend.log_attempt import Patience
from cloudtune.backend.sagemaker_backend.log_channel import LogChannel, LogNews
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.trial import Report
from tests.localcloud.conftest import Trainer, wait_until

#: The user's script is the job's own entry point, and reports from every host.
REPORTING = """
import json, sys
sys.path[:0] = {path!r}
from cloudtune.report import Reporter
host = json.load(open("/opt/ml/input/config/resourceconfig.json"))["current_host"]
report = Reporter()
for epoch in range(20):
    print("some other output")
    report(epoch=epoch, host=host, loss=float("nan") if epoch == 3 else 1.0 / (epoch + 1))
"""
#: What the agent prints in a job that cannot write to S3; killed and started again, it begins a new run.
AGENT = """
import json, os, sys, time
sys.path[:0] = {path!r}
from cloudtune.agent.log_lines import end_line, report_line
again = os.path.exists("/opt/ml/checkpoints/run")
open("/opt/ml/checkpoints/run", "w").close()
run = "second" if again else "first"
for number in range(5):
    print(report_line(run, number, json.dumps({{"run": run, "epoch": number}})), flush=True)
while not again:
    time.sleep(0.01)
end = {{"outcome": "completed", "exit_code": 0, "signal": None, "reason": "", "output": ""}}
print(end_line(run, end, 5), flush=True)
"""


@pytest.fixture
def trainer(local_cloud: LocalCloud) -> Trainer:
    return Trainer(local_cloud)


@pytest.fixture
def channel(local_cloud: LocalCloud) -> LogChannel:
    aws = Aws(budget=RateBudget({}))
    return LogChannel(aws, "exp-abc123-", patience=Patience(settle=2.0, longest=20.0))


def with_path(script: str) -> str:
    """A script that finds cloudtune wherever this test does."""
    import cloudtune

    return script.format(path=[str(cloudtune.__path__[0]).rpartition("/")[0]])


@pytest.mark.defect("R12")
def test_two_hosts_report_and_each_report_of_the_first_comes_once(
    local_cloud: LocalCloud, trainer: Trainer, channel: LogChannel, faults: CloudFaults
) -> None:
    """Lines are late and shuffled, calls are throttled, three jobs report at once, another experiment's too."""
    faults.add("late_logs", seconds=0.5, job="exp-abc123-1-0")
    faults.add("shuffled_logs", seconds=1.0)
    faults.add("throttle", operation="logs:FilterLogEvents", count=4, skip=1)
    two_hosts = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}}
    trainer.create("exp-zzz999-0-0", with_path(REPORTING))
    for trial in range(3):
        name = f"exp-abc123-{trial}-0"
        channel.watch(name, trial, 0, {}, agent=False, may_restart=False)
        trainer.create(name, with_path(REPORTING), **(two_hosts if trial == 0 else {}))
    for trial in range(3):
        local_cloud.wait_for_job(f"exp-abc123-{trial}-0")
        channel.job_ended(f"exp-abc123-{trial}-0")
    reports: list[Report] = []
    settled: set[int] = set()

    def all_settled() -> bool:
        for news in channel.look():
            reports.extend(news.reports)
            if news.settled:
                settled.add(news.trial)
        return len(settled) == 3

    wait_until(all_settled, "the rest of the logs")
    for trial in range(3):
        own = [report for report in reports if report.trial_id == trial]
        assert [(report.run, report.number) for report in own] == [(0, number) for number in range(20)]
        assert [report.metrics["epoch"] for report in own] == list(range(20))
        assert {report.metrics["host"] for report in own} == {"algo-1"}


def test_an_interrupted_job_has_two_runs_in_order(
    local_cloud: LocalCloud, trainer: Trainer, channel: LogChannel, faults: CloudFaults
) -> None:
    """Every start of the container has a stream of its own; the agent's end tells that all is there."""
    faults.add("shuffled_logs", seconds=0.5)
    name = "exp-abc123-0-0"
    channel.watch(name, 0, 0, {}, agent=True)
    trainer.create(
        name,
        with_path(AGENT),
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
        CheckpointConfig={"S3Uri": "s3://data/checkpoints"},
    )
    wait_until(lambda: trainer.s3.list_objects_v2(Bucket="data", Prefix="checkpoints/").get("Contents"), "a checkpoint")
    wait_until(
        lambda: sum(line.startswith("[cloudtune-report]") for line in trainer.lines(name)) == 5,
        "reports of the first run",
    )
    local_cloud.interrupt_job(name, notice=False)
    local_cloud.wait_for_job(name)
    channel.job_ended(name)
    heard: list[LogNews] = []

    def settled() -> bool:
        heard.extend(channel.look())
        return any(news.settled for news in heard)

    wait_until(settled, "the rest of the log")
    reports = [report for news in heard for report in news.reports]
    assert [(report.run, report.number, report.metrics["run"]) for report in reports] == [
        *((0, number, "first") for number in range(5)),
        *((1, number, "second") for number in range(5)),
    ]
    (end,) = [news.end for news in heard if news.end is not None and news.end.run == 1]
    assert (end.end["outcome"], end.reports) == ("completed", 5)
