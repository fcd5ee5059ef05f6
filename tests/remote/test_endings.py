"""How a remote tuner ends, with the jobs of its trials: in the time that SageMaker gives it, or without a last word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloudtune import Tuner
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.callbacks import TunerCallback
from cloudtune.errors import ExperimentLocked
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.store.s3_lease import read_lease
from tests.backend.sagemaker.harness import HURRY, make_backend, training_job
from tests.remote.remote_experiment import NAME, ROOT, SCRIPT, RemoteTuning, wait_until
from tests.remote.test_from_any_machine import run, tuning

__all__ = ["tuning"]

pytestmark = pytest.mark.timeout(300)

#: Patterns for the names of trials' jobs, not that of the tuner's.
TRIALS = (f"{NAME}-[!t]*", f"{NAME}-t[!u]*")
#: A tuner's job that creates its trials' jobs at once, and stops them as slowly as AWS allows.
SLOW_STOPS = {"CLOUDTUNE_AWS_RATES": "sagemaker:CreateTrainingJob=inf"}


def launch(tuning: RemoteTuning, tuner: Tuner, **options: Any) -> str:
    """Launches a tuner whose stops are paced; its job."""
    environment = {"GATES": str(tuning.gates), **SLOW_STOPS}
    return tuning.launch(tuner, environment=environment, **options).job_name


def statuses(tuning: RemoteTuning) -> list[str]:
    """Of the jobs of trials."""
    return [job["status"] for job in tuning.trial_jobs()]


def stops_by(tuning: RemoteTuning, job: str) -> int:
    """How often a job has called StopTrainingJob."""
    return len(tuning.cloud.calls("sagemaker:StopTrainingJob", who=f"job:{job}"))


def trials_fault(faults: CloudFaults, kind: str, **fields: Any) -> None:
    """A fault that meets the jobs of trials alone."""
    for pattern in TRIALS:
        faults.add(kind, job=pattern, **fields)


@pytest.mark.defect("R1")
def test_trials_that_have_not_begun_when_their_tuner_ends(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """More than there is time to stop: they end before their script, without the tuner, and can be continued."""
    trials_fault(faults, "slow_start", seconds=16)
    tuner = tuning.tuner(True, {"epochs": 2}, trials=6, workers=6)
    tuner.time_to_end = 4.0
    job = launch(tuning, tuner)
    wait_until(lambda: len(tuning.trial_jobs()) == 6, "the jobs of trials")
    tuning.cloud.stop_job(job)
    assert tuning.wait_for_end(job)["status"] == "Stopped"
    assert tuning.entries("finish")[-1]["state"] == "interrupted"
    assert 1 <= stops_by(tuning, job) < 6
    assert "training jobs are left to end by themselves" in tuning.output(job)
    assert "InProgress" in statuses(tuning)
    wait_until(lambda: not {"InProgress", "Stopping"} & set(statuses(tuning)), "the ends of trials")
    assert sorted(set(statuses(tuning))) == ["Completed", "Stopped"]
    assert not any("about to begin" in tuning.output(one["name"]) for one in tuning.trial_jobs())
    faults.clear()
    tuning.wait_for_end(tuning.launch(tuner).job_name)
    tuning.check_whole(dict.fromkeys(range(6), 2))
    assert len(tuning.trial_jobs()) == 12


def test_trials_that_hear_neither_wish_nor_sigterm(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """Their agents cannot read the wish, their scripts ignore SIGTERM: they are stopped at once."""
    tuner = tuning.tuner(True, {"epochs": 3, "hold": 2, "deaf": 1}, trials=2)
    tuner.time_to_end = 18.0
    backend = tuner.trial_backend
    assert isinstance(backend, SageMakerBackend)
    backend.cadence, backend.stop_grace = replace(HURRY, stop_margin=60.0), 2.0
    job = launch(tuning, tuner)
    tuning.wait_for_reports(4)
    for pattern in TRIALS:
        faults.add("access_denied", operation="s3:GetObject", resource="*/life.json", who=f"job:{pattern}")
    tuning.cloud.stop_job(job)
    assert tuning.wait_for_end(job)["status"] == "Stopped"
    assert stops_by(tuning, job) == 2
    assert statuses(tuning) == ["Stopped", "Stopped"]
    ends = tuning.entries("end")
    assert [(entry["status"], entry["attempt"]) for entry in ends] == [("Interrupted", 0)] * 2
    assert tuning.entries("finish")[-1]["state"] == "interrupted"
    assert "left to end by themselves" not in tuning.output(job)


def test_trials_that_only_sagemaker_can_stop(tuning: RemoteTuning) -> None:
    """Without network no wish reaches them: who is not stopped in time is named, with the command that ends it."""
    tuner = tuning.tuner(True, {"epochs": 3, "hold": 2}, trials=5, workers=5)
    job = training_job(SCRIPT, environment={"GATES": str(tuning.gates)}, enable_network_isolation=True)
    tuner.trial_backend = make_backend(job, cadence=HURRY)
    tuner.time_to_end = 3.5
    launched = launch(tuning, tuner)
    tuning.wait_for_reports(10)
    tuning.cloud.stop_job(launched)
    assert tuning.wait_for_end(launched)["status"] == "Stopped"
    assert tuning.entries("finish")[-1]["state"] == "interrupted"
    stopped = stops_by(tuning, launched)
    assert 1 <= stopped < 5
    assert f"there was no time to stop {5 - stopped} training jobs, which no wish reaches" in tuning.output(launched)
    assert statuses(tuning).count("InProgress") == 5 - stopped
    run("reap", NAME, "--yes")
    wait_until(lambda: statuses(tuning) == ["Stopped"] * 5, "the ends of trials")
    tuning.release(*range(5))
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"
    tuning.check_whole(dict.fromkeys(range(5), 3))


def test_a_deletion_that_is_not_answered(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """The tuner ends in its time all the same: the log has its last entry, and the lease is given back."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    tuner.time_to_end = 6.0
    tuner.trial_backend.delete_checkpoints = True
    faults.add("slow_answer", operation="s3:DeleteObject*", seconds=60, who=f"job:{NAME}-tuning-*")
    job = launch(tuning, tuner)
    tuning.wait_for_reports(4)
    tuning.release(0)
    wait_until(faults.fired, "a deletion")
    tuning.cloud.stop_job(job)
    assert tuning.wait_for_end(job)["status"] == "Stopped"
    assert tuning.entries("finish")[-1]["state"] == "interrupted"
    lease = read_lease(tuning.bucket, ROOT)
    assert lease is not None
    assert lease.released
    assert "for want of time" in tuning.output(job)


def test_trials_that_are_left_report_to_the_next_tuner(tuning: RemoteTuning) -> None:
    """One ends while nobody listens, another one goes on: what both have told is taken in once, by the same jobs."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    job = launch(tuning, tuner, leave_trials_when_stopped=True)
    tuning.wait_for_reports(4)
    tuning.cloud.stop_job(job)
    assert tuning.wait_for_end(job)["status"] == "Stopped"
    assert statuses(tuning) == ["InProgress", "InProgress"]
    tuning.release(0)
    first = tuning.trial_jobs()[0]["name"]
    assert tuning.wait_for_end(first)["status"] == "Completed"
    assert len(tuning.entries("report")) == 4
    again = json.loads(run("resume", NAME, "--json").stdout)["job"]
    tuning.wait_for_reports(6)
    tuning.cloud.stop_job(again)  # what was asked of the first launch counts for the next as well
    assert tuning.wait_for_end(again)["status"] == "Stopped"
    assert statuses(tuning) == ["Completed", "InProgress"]
    tuning.release(1)
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 2
    assert {entry["attempt"] for entry in tuning.entries("report")} == {0}


def die(tuning: RemoteTuning, faults: CloudFaults, job: str) -> None:
    """A tuner's job ends without SIGTERM, and for good."""
    faults.add("job_internal_error", job=job, seconds=0)
    assert tuning.wait_for_end(job)["status"] == "Failed"
    faults.clear()


def test_a_tuner_that_dies_for_good(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """Its trials save their checkpoints and end, for nobody gives signs of life; later they go on from there."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    backend = tuner.trial_backend
    assert isinstance(backend, SageMakerBackend)
    backend.cadence = replace(HURRY, life=0.5, life_timeout=4.0)
    job = launch(tuning, tuner)
    tuning.wait_for_reports(4)
    die(tuning, faults, job)
    wait_until(lambda: statuses(tuning) == ["Completed", "Completed"], "the ends of trials")
    assert "finish" not in [entry["event"] for entry in tuning.log()]
    assert stops_by(tuning, "*") == 0
    tuning.release(0, 1)
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 4
    ends = [entry["reason"] for entry in tuning.entries("end") if entry["attempt"] == 0]
    assert len(ends) == 2
    assert all("no sign of life" in reason for reason in ends)
    last = [entry["metrics"] for entry in tuning.entries("report") if entry["metrics"]["epoch"] == 4]
    assert [metrics["began_at"] for metrics in last] == [2, 2]


@pytest.mark.defect("R1")
@pytest.mark.parametrize("in_time", [True, False])
def test_a_tuner_that_is_stopped_while_it_reads_the_log(
    tuning: RemoteTuning, faults: CloudFaults, in_time: bool
) -> None:
    """The trials that an earlier one has left end all the same; the log tells of it where there was time to read it."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    first = launch(tuning, tuner)
    tuning.wait_for_reports(4)
    die(tuning, faults, first)
    slow = {"seconds": 3, "count": 1} if in_time else {"seconds": 60}
    segments = f"*/{ROOT}log/0000000[5-9].jsonl"
    faults.add("slow_answer", operation="s3:GetObject", resource=segments, who=f"job:{NAME}-tuning-*", **slow)
    second = launch(tuning, tuner)
    wait_until(lambda: "slow_answer" in [one.kind for one in faults.fired()], "the second tuner to read the log")
    tuning.cloud.stop_job(second)
    assert tuning.wait_for_end(second)["status"] == "Stopped"
    faults.clear()
    wait_until(lambda: not {"InProgress", "Stopping"} & set(statuses(tuning)), "the ends of trials")
    assert [entry["owner"]["job"] for entry in tuning.entries("epoch")] == ([first, second] if in_time else [first])
    assert [entry["state"] for entry in tuning.entries("finish")] == ["interrupted"] * in_time
    tuning.release(0, 1)
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})


class OnEnd(TunerCallback):
    """Does something when a trial has ended."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def on_trial_end(self, *_: Any) -> None:
        self._do()


@pytest.mark.parametrize("how", ["it dies", "it is stopped"])
def test_the_loop_moves_here_and_back_while_trials_run(tuning: RemoteTuning, faults: CloudFaults, how: str) -> None:
    """Refused while the remote tuner lives, done at once when it does not. The jobs of trials never notice."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    job = launch(tuning, tuner, leave_trials_when_stopped=True)
    tuning.wait_for_reports(4)
    with pytest.raises(ExperimentLocked, match=f"is driven by training job {job}"):
        Tuner.takeover(NAME).run()
    assert tuning.job(job)["status"] == "InProgress"
    if how == "it dies":
        die(tuning, faults, job)
    else:
        tuning.cloud.stop_job(job)
        tuning.wait_for_end(job)
    assert statuses(tuning) == ["InProgress", "InProgress"]

    here = Tuner.takeover(NAME)
    here.decide_leaving = lambda: True
    here.callbacks.append(OnEnd(lambda: here.interrupt("moving on")))
    tuning.release(0)
    here.run()
    assert here.status.num_trials_completed == 1
    assert statuses(tuning) == ["Completed", "InProgress"]
    assert (tuning.entries("finish")[-1]["state"], len(tuning.entries("report"))) == ("interrupted", 6)

    tuning.release(1)
    back = tuning.launch(tuner).job_name
    assert tuning.wait_for_end(back)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 2
    assert [entry["owner"]["job"] for entry in tuning.entries("epoch")] == [job, None, back]
