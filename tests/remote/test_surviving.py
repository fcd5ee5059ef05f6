"""A tuner that is a training job itself: what becomes of its experiment when the job is stopped or taken away."""

from __future__ import annotations

import json

import pytest

from cloudtune.aws.quotas import forget_quotas
from cloudtune.localcloud import Fault
from tests.remote.remote_experiment import NAME, ROOT, RemoteTuning, wait_until

pytestmark = pytest.mark.timeout(600)


def test_trials_beside_the_loop(tuning: RemoteTuning) -> None:
    """Loop and trials run in one job; all that is known of them stands in S3, and none of their files: nobody asked."""
    tuner = tuning.tuner(False, {"epochs": 3, "text": "a b'c"}, trials=2)
    launched = tuning.launch(tuner)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    tuning.check_whole({0: 3, 1: 3})
    assert len(tuning.cloud.jobs()) == 1
    beside = ("cloudtune/code/", "cloudtune/afar/_study/")
    keys = [one.key for one in tuning.bucket.list("") if not one.key.startswith(beside)]
    found = {key.removeprefix("cloudtune/afar/afar/") for key in keys}
    known = {"lease.json", "metadata.json", "results.csv.zip", "log/00000001.jsonl"}
    assert known <= found
    known |= {"remote/inbox/0-0.json", "remote/life.json", "remote/trials/0/0/end.json"}
    for key in sorted(found - known):
        assert key.startswith(("log/", "packed/", "remote/trials/0/0/task/"))


def test_a_spot_interruption_of_the_tuner(tuning: RemoteTuning) -> None:
    """Its trials' jobs go on meanwhile; its next run takes them over, with all that they have reported."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    launched = tuning.launch(tuner, use_spot=True, max_wait=8000, max_run=7000)
    tuning.wait_for_reports(4)
    tuning.cloud.interrupt_job(launched.job_name, notice=True)
    wait_until(lambda: tuning.job(launched.job_name)["run"] == 1, "the second run of the tuner's job")
    assert [job["status"] for job in tuning.trial_jobs()] == ["InProgress", "InProgress"]
    tuning.release(0, 1)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 2
    assert [entry["epoch"] for entry in tuning.entries("epoch")] == [1, 2]


@pytest.mark.defect("R3")
def test_a_machine_that_is_taken_without_notice(tuning: RemoteTuning) -> None:
    """As if killed: the next run finds its own lease, and takes it at once."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    launched = tuning.launch(tuner, use_spot=True, max_wait=8000, max_run=7000)
    tuning.wait_for_reports(4)
    tuning.cloud.interrupt_job(launched.job_name, notice=False)
    tuning.release(0, 1)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 2


@pytest.mark.defect("R1")
def test_stopping_the_tuners_job_stops_its_trials(tuning: RemoteTuning) -> None:
    """No paid machine is left; the same launch again goes on from their checkpoints."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    launched = tuning.launch(tuner)
    tuning.wait_for_reports(4)
    tuning.cloud.stop_job(launched.job_name)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Stopped"
    wait_until(lambda: all(job["status"] != "InProgress" for job in tuning.trial_jobs()), "the trials' ends")
    assert tuning.entries("finish")[-1]["state"] == "interrupted"
    tuning.release(0, 1)
    again = tuning.launch(tuner)
    assert again.job_name != launched.job_name
    assert tuning.wait_for_end(again.job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})


def test_checkpoints_of_trials_beside_the_loop_are_kept_where_asked_for(tuning: RemoteTuning) -> None:
    """The tuner's machine is replaced, and its trials go on from what they had saved; their logs are in S3 as well."""
    tuner = tuning.tuner(False, {"epochs": 4, "hold": 2}, trials=2)
    launched = tuning.launch(tuner, use_spot=True, max_wait=8000, max_run=7000, store_logs_localbackend=True)
    tuning.wait_for_reports(4)
    kept = f"{tuning.place.keys.checkpoints(0)}manifests/"
    wait_until(lambda: tuning.bucket.list(kept), "a checkpoint of the tuner's folder")
    tuning.cloud.interrupt_job(launched.job_name, notice=True)
    wait_until(lambda: tuning.job(launched.job_name)["run"] == 1, "the second run of the tuner's job")
    tuning.release(0, 1)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    last = [entry["metrics"] for entry in tuning.entries("report") if entry["metrics"]["epoch"] == 4]
    assert [metrics["began_at"] for metrics in last] == [2, 2]


def test_a_wish_stops_the_tuner_and_its_trials(tuning: RemoteTuning) -> None:
    """What `cloudtune stop` writes to S3 is heeded without a call of SageMaker."""
    launched = tuning.launch(tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2))
    tuning.wait_for_reports(4)
    tuning.place.put_wish(0, "stop")
    tuning.wait_for_end(launched.job_name)
    tuning.check_nothing_runs()
    assert tuning.entries("finish")[-1]["state"] == "interrupted"


@pytest.mark.defect("R6")
def test_an_experiment_longer_than_a_job_may_run(tuning: RemoteTuning) -> None:
    """Shortly before its time is over the job creates its successor, which takes the trials' jobs over."""
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=2)
    first = tuning.launch(tuner, max_run=80)
    wait_until(lambda: len(tuning.tuner_jobs()) == 2, "the successor")
    tuning.release(0, 1)
    second = tuning.tuner_jobs()[1]["name"]
    assert tuning.wait_for_end(second)["status"] == "Completed"
    assert tuning.job(first.job_name)["status"] == "Completed"
    tuning.check_whole({0: 4, 1: 4})
    assert len(tuning.trial_jobs()) == 2


@pytest.mark.defect("R6")
def test_a_successor_for_which_there_is_no_instance(tuning: RemoteTuning) -> None:
    """Trials fill the quota: the job waits, within its own time, until the job of one ends."""
    tuning.cloud.set_quota("ml.m5.large for training job usage", 2)
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1)
    first = tuning.launch(tuner, max_run=60)
    wait_until(lambda: "cannot be created at the moment" in tuning.output(first.job_name), "a try for a successor")
    assert len(tuning.tuner_jobs()) == 1
    tuning.release(0)
    wait_until(lambda: len(tuning.tuner_jobs()) == 2, "the successor")
    assert tuning.wait_for_end(tuning.tuner_jobs()[1]["name"])["status"] == "Completed"
    assert tuning.job(first.job_name)["status"] == "Completed"
    tuning.check_whole({0: 4})
    assert len(tuning.trial_jobs()) == 1


@pytest.mark.defect("R1")
def test_a_stop_while_a_successor_is_tried_for(tuning: RemoteTuning) -> None:
    """Trials that were left to a successor end with the job that finds no place for one."""
    tuning.cloud.set_quota("ml.m5.large for training job usage", 2)
    first = tuning.launch(tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1), max_run=44).job_name
    wait_until(lambda: "cannot be created at the moment" in tuning.output(first), "a try for a successor")
    assert [job["status"] for job in tuning.trial_jobs()] == ["InProgress"]
    tuning.cloud.stop_job(first)
    assert tuning.wait_for_end(first)["status"] == "Stopped"
    wait_until(lambda: tuning.trial_jobs()[0]["status"] not in ("InProgress", "Stopping"), "the end of the trial")
    assert tuning.entries("end")[-1]["status"] == "Interrupted"
    assert len(tuning.tuner_jobs()) == 1


@pytest.mark.defect("R1")
def test_a_stop_while_the_successor_is_created(tuning: RemoteTuning) -> None:
    """Who stops the job stops the experiment: the successor, of which the job hears too late, does not go on either."""
    first = tuning.launch(tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1), max_run=60).job_name
    tuning.wait_for_reports(2)
    create = "sagemaker:CreateTrainingJob"
    tuning.cloud.faults.add(Fault("slow_answer", seconds=5.0, operation=create, who=f"job:{first}"))
    tuning.cloud.faults.add(Fault("slow_start", seconds=60.0, job=f"{NAME}-tuning-0-1"))
    wait_until(lambda: len(tuning.tuner_jobs()) == 2, "the successor")
    tuning.cloud.stop_job(first)
    assert tuning.wait_for_end(first)["status"] == "Stopped"
    assert tuning.wait_for_end(tuning.tuner_jobs()[1]["name"])["status"] == "Stopped"
    wait_until(lambda: tuning.trial_jobs()[0]["status"] not in ("InProgress", "Stopping"), "the end of the trial")
    assert tuning.entries("end")[-1]["status"] == "Interrupted"


@pytest.mark.defect("R6")
def test_a_quota_without_room_for_a_successor(tuning: RemoteTuning, caplog: pytest.LogCaptureFixture) -> None:
    """It is said at the launch; the job that cannot hand over fails, and says how its experiment is continued."""
    tuning.cloud.set_quota("ml.m5.large for training job usage", 1)
    forget_quotas()
    tuner = tuning.tuner(False, {"epochs": 4, "hold": 2}, trials=1)
    job = tuning.launch(tuner, max_run=40, store_logs_localbackend=True).job_name
    assert "no successor can begin, and the experiment will stand still until `cloudtune resume afar`" in caplog.text
    ended = tuning.wait_for_end(job)
    assert ended["status"] == "Failed"
    assert "`cloudtune resume afar` continues the experiment" in ended["failure_reason"]
    tuning.cloud.set_quota("ml.m5.large for training job usage", 2)
    tuning.release(0)
    again = tuning.launch(tuner, store_logs_localbackend=True).job_name
    assert tuning.wait_for_end(again)["status"] == "Completed"
    tuning.check_whole({0: 4})


def test_trials_of_a_remote_tuner_miss_it_sooner(tuning: RemoteTuning) -> None:
    """Nobody sits before it: without a sign of life for a quarter of an hour they pause, instead of an hour."""
    launched = tuning.launch(tuning.tuner(True, {"epochs": 2, "hold": 1}, trials=1))
    tuning.wait_for_reports(1)
    tasks = [one.key for one in tuning.bucket.list(ROOT) if one.key.endswith("/trials/0/0/task/task.json")]
    (task,) = (key for key in tasks if not key.startswith(f"{ROOT}remote/"))
    got = tuning.bucket.get(task)
    assert got is not None
    assert json.loads(got.body)["life_timeout"] == 900.0
    tuning.release(0)
    tuning.wait_for_end(launched.job_name)


def test_launching_what_runs_already_launches_nothing(tuning: RemoteTuning) -> None:
    """The same command twice is one experiment with one tuner."""
    tuner = tuning.tuner(True, {"epochs": 2, "hold": 1}, trials=1)
    first = tuning.launch(tuner)
    assert tuning.launch(tuner) == first
    tuning.release(0)
    tuning.wait_for_end(first.job_name)
    tuning.check_whole({0: 2})
    assert len(tuning.tuner_jobs()) == 1
