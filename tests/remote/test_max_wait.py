"""A tuner on spot capacity, for which SageMaker limits the time with all waits for machines."""

from __future__ import annotations

import json

import pytest

from cloudtune.aws.clients import aws_for
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.remote.following import RemoteTunerFailed, follow
from tests.remote.remote_experiment import NAME, RemoteTuning, wait_until
from tests.remote.test_from_any_machine import SOON, run, status, tuning

__all__ = ["tuning"]

pytestmark = pytest.mark.timeout(300)


@pytest.mark.defect("R6")
def test_a_tuner_that_got_its_machine_late(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """Before its max_wait is over, long before its max_run would be, it hands over; no trial notices."""
    waits = faults.add("slow_start", seconds=12, job=f"{NAME}-*")
    first = tuning.launch(
        tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2), use_spot=True, max_run=32, max_wait=32
    )
    wait_until(lambda: tuning.job(first.job_name)["secondary"] == "Training", "its machine")
    faults.remove(waits)
    wait_until(lambda: len(tuning.tuner_jobs()) == 2, "the successor")
    second = tuning.tuner_jobs()[1]["name"]
    assert tuning.wait_for_end(first.job_name)["status"] == "Completed"
    tuning.release(0, 1)
    assert tuning.wait_for_end(second)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 2


def test_a_tuner_that_got_no_machine(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """Nobody was there to hand over: whoever looks is told why it ended, and how it goes on."""
    faults.add("slow_start", seconds=1000)
    tuner = tuning.tuner(False, {"epochs": 2}, trials=1)
    job = tuning.launch(tuner, use_spot=True, max_run=4, max_wait=4)
    with pytest.raises(RemoteTunerFailed, match=r"waited for spot capacity, for as long as its max_wait .*resume afar"):
        follow(aws_for(None, None), job.place, job.job_name, pace=SOON)
    assert tuning.job(job.job_name)["secondary"] == "MaxWaitTimeExceeded"
    told = status()
    assert told["state"] == "unfinished"
    assert told["why"].endswith("max_wait allows; `cloudtune resume afar` continues with another one")
    faults.clear()
    # A limit that is changed gives the next job the time that it needs.
    again = json.loads(run("resume", NAME, "--max-wallclock-time", "2000", "--json").stdout)["job"]
    wait_until(lambda: tuning.job(again)["status"] == "Completed", "the end of the second job")
    tuning.check_whole({0: 2})
