"""Ending an experiment whose tuner's job has no container yet, while the trials of an earlier tuner run."""

from __future__ import annotations

import pytest

from cloudtune.aws.clients import aws_for
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import Fault
from cloudtune.remote.stopping import Stopping
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import NAME, RemoteTuning, wait_until

pytestmark = pytest.mark.timeout(300)


def successor_that_waits(tuning: RemoteTuning) -> str:
    """The job of a tuner, which waits for its machine. Its predecessor has died, and has left a trial."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1)
    first = tuning.launch(tuner).job_name
    tuning.wait_for_reports(2)
    tuning.cloud.faults.add(Fault("job_internal_error", job=first, seconds=0))
    assert tuning.wait_for_end(first)["status"] == "Failed"
    tuning.cloud.faults.add(Fault("slow_start", seconds=1000.0, job=f"{NAME}-tuning-0-1"))
    second = tuning.launch(tuner).job_name
    assert second != first
    assert [one["status"] for one in tuning.trial_jobs()] == ["InProgress"]
    return second


@pytest.mark.parametrize("wait", [True, False])
def test_the_trials_are_ended_at_once(tuning: RemoteTuning, wait: bool) -> None:
    """By who stops the experiment, waiting or not: no tuner is there to do it, and the trial has not missed one yet."""
    job = successor_that_waits(tuning)
    found = find_in_s3(NAME, f"s3://{BUCKET}", aws_for(None, None))
    result = Stopping(found, leave_trials=False, grace=60.0, tell=lambda _: None, interval=0.1).run(wait)
    assert (result.job, result.failed) == (job, {})
    (trial,) = tuning.trial_jobs()
    if wait:
        assert (result.ended, result.running) == ([trial["name"]], [])
    wait_until(lambda: tuning.job(trial["name"])["status"] not in ("InProgress", "Stopping"), "the end of the trial")
    assert tuning.wait_for_end(job)["status"] == "Stopped"
    tuning.cloud.faults.clear()
    tuning.release(0)
    again = tuning.launch(tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1)).job_name
    assert tuning.wait_for_end(again)["status"] == "Completed"
    tuning.check_whole({0: 4})
    last = tuning.entries("report")[-1]["metrics"]
    assert last["began_at"] == 2, "its checkpoint was not saved"


def test_they_go_on_where_that_is_asked(tuning: RemoteTuning) -> None:
    """Only the tuner's job is stopped."""
    job = successor_that_waits(tuning)
    found = find_in_s3(NAME, f"s3://{BUCKET}", aws_for(None, None))
    result = Stopping(found, leave_trials=True, grace=60.0, tell=lambda _: None, interval=0.1).run()
    assert (result.job, result.ended) == (job, [])
    assert result.running == [tuning.trial_jobs()[0]["name"]]
    tuning.release(0)
    wait_until(lambda: tuning.trial_jobs()[0]["status"] == "Completed", "the end of the trial")
