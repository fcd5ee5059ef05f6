"""Launching where somebody else launches, or drives, the same experiment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion
from cloudtune.aws.errors import Conflict, QuotaReached
from cloudtune.callbacks import TunerCallback
from cloudtune.errors import ExperimentLocked, ExperimentMismatch, Fenced
from cloudtune.localcloud import Fault
from cloudtune.remote import launching
from cloudtune.remote.launching import LaunchedElsewhere, check_none_under_way, launch
from cloudtune.remote.successor import create_successor
from cloudtune.remote.tuner_job import MANIFEST, PICKLE, TRIAL, Settings, TunerPlace, successor_of
from cloudtune.store.processes import process_identity
from cloudtune.store.s3_store import S3Store
from cloudtune.trial import Trial
from tests.remote.remote_experiment import NAME, ROOT, RemoteTuning

pytestmark = pytest.mark.timeout(600)
SETTINGS = Settings(name="digits", tag="", root="cloudtune/digits/digits/", max_run=3600)
SPACE = {"epochs": 1}


def claim(**changed: Any) -> dict[str, Any]:
    """Of a process on another machine."""
    who = {"host": "laptop", "user": "ada", "pid": 4711, "since": 1.79e9, "job": None, "nonce": "theirs"}
    return {**who, "boot_id": "other", "pid_space": "other", "pid_start": 1, **changed}


def dead_process() -> int:
    """Number of a process that is no more."""
    code = "import os; print(os.getpid())"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


# ---------------------------------------------------------------------- at the same moment


def test_two_launches_at_the_same_moment(tuning: RemoteTuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them wins with its tuner and its source, of which nothing is overwritten; the other is told by whom."""
    extra = tmp_path / "extra.py"
    extra.write_text("whose = 'the winner'\n")
    winners: list[str] = []
    attempts = TunerPlace.attempts

    def seen_before_the_other(place: TunerPlace) -> list[int]:
        seen = attempts(place)
        if not winners:
            winners.append("")
            winner = tuning.tuner(False, SPACE, trials=2)
            winners[0] = tuning.launch(winner, dependencies=[extra]).job_name
        return seen

    monkeypatch.setattr(TunerPlace, "attempts", seen_before_the_other)
    loser = tuning.tuner(False, SPACE, trials=1)
    who = rf"pid {os.getpid()} on host {socket.gethostname()}"
    with pytest.raises(LaunchedElsewhere, match=f"another launch of experiment '{NAME}' has just been made, by {who}"):
        tuning.launch(loser)
    assert [job["name"] for job in tuning.tuner_jobs()] == winners
    assert tuning.wait_for_end(winners[0])["status"] == "Completed"
    tuning.check_whole({0: 1, 1: 1})


@pytest.mark.parametrize("operation", ["s3:PutObject", "sagemaker:CreateTrainingJob"])
def test_an_answer_that_is_lost_is_no_other_launch(tuning: RemoteTuning, operation: str) -> None:
    """What is there is what this very launch has put, or created, at its first try."""
    resource = "*/task.json" if operation.startswith("s3") else "*"
    tuning.cloud.faults.add(Fault("answer_lost", operation=operation, resource=resource, count=1))
    launched = tuning.launch(tuning.tuner(False, SPACE, trials=1))
    assert tuning.cloud.faults.fired()
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    assert len(tuning.tuner_jobs()) == 1
    tuning.check_whole({0: 1})


def test_a_job_runs_nothing_but_its_own_launch(tuning: RemoteTuning) -> None:
    """A pickle and a manifest that fit each other, and are another launch's, are not unpickled."""
    tuning.launch(tuning.tuner(False, SPACE, trials=1, tuner_name="other"))
    theirs = TunerPlace(tuning.bucket, ROOT.replace(NAME, "other")).keys.task_folder(TRIAL, 0)

    def change() -> None:
        for name in (MANIFEST, PICKLE):
            body = tuning.bucket.get(theirs + name).body  # type: ignore[union-attr]
            tuning.bucket.put(tuning.place.keys.task_folder(TRIAL, 0) + name, body)

    launched = tuning.launch_amid(tuning.tuner(False, SPACE, trials=1), change)
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert "is not what it was launched with" in job["failure_reason"]
    assert tuning.log() == []
    again = tuning.launch(tuning.tuner(False, SPACE, trials=1))
    assert tuning.wait_for_end(again.job_name)["status"] == "Completed"
    tuning.wait_for_end("other-tuning-0-0")


@pytest.mark.parametrize("name", [MANIFEST, PICKLE])
def test_a_job_whose_launch_was_deleted(tuning: RemoteTuning, name: str) -> None:
    """By a lifecycle rule before a spot job's next machine, say: its reason names what is missing, and what to do."""
    key = tuning.place.keys.task_folder(TRIAL, 0) + name
    launched = tuning.launch_amid(tuning.tuner(False, SPACE, trials=1), lambda: tuning.bucket.delete([key]))
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert f"\n{name} is missing in " in job["failure_reason"]
    assert "; launch again" in job["failure_reason"]


def test_a_refused_launch_leaves_nothing(tuning: RemoteTuning) -> None:
    """The next one, from any machine and at once, has its number."""
    tuning.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob", count=1))
    with pytest.raises(Exception, match="CreateTrainingJob"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1))
    assert tuning.place.attempts() == []


def test_a_refused_launch_that_cannot_be_taken_back(tuning: RemoteTuning) -> None:
    """Why it was refused is told, and not that its traces may not be deleted; they hold up nobody on this machine."""
    tuner = tuning.tuner(False, SPACE, trials=1)
    tuning.cloud.faults.add(Fault("resource_limit", operation="sagemaker:CreateTrainingJob", count=1))
    tuning.cloud.faults.add(Fault("access_denied", operation="s3:DeleteObject*"))
    with pytest.raises(QuotaReached):
        tuning.launch(tuner)
    assert tuning.place.attempts() == [0]
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"


# ---------------------------------------------------------------------- that died, or has not yet


def test_a_launch_that_died_before_it_had_a_job(place: TunerPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this machine: nobody waits for it. Of another one, or of this very process's other thread: for a while."""
    here = process_identity()
    for number, one in enumerate(
        [claim(**here, pid=dead_process()), claim(**here, pid=os.getpid(), nonce="given up by us")]
    ):
        place.write_task(number, SETTINGS, {}, one)
        check_none_under_way(place, place.attempts(), None)
    place.write_task(2, SETTINGS, {}, claim())
    check_none_under_way(place, place.attempts(), 2)  # its job was created
    with pytest.raises(
        LaunchedElsewhere,
        match=r"by pid 4711 on host laptop \(user ada\) since 2026.* UTC.*should it have died .* again in 1\d\d sec",
    ):
        check_none_under_way(place, place.attempts(), 1)
    monkeypatch.setattr(launching, "LONGEST_LAUNCH", -1.0)
    check_none_under_way(place, place.attempts(), 1)
    monkeypatch.undo()
    with launch(place, 3, SETTINGS, {}), pytest.raises(LaunchedElsewhere, match=f"by pid {os.getpid()} on"):
        check_none_under_way(place, place.attempts(), 1)
    check_none_under_way(place, place.attempts(), 1)


def test_a_launch_that_was_made_while_another_one_looked(tuning: RemoteTuning) -> None:
    """Whoever has made it is done with it, or gone, when the other looks again; its job is there: no second is made."""
    tuning.cloud.faults.add(Fault("slow_start", seconds=10_000.0))
    tuning.launch(tuning.tuner(False, SPACE, trials=1))
    with pytest.raises(LaunchedElsewhere):
        check_none_under_way(tuning.place, [0], None)  # it had looked for the job before that was created
    check_none_under_way(tuning.place, [0], 0)


def test_a_job_that_died_while_it_handed_over(tuning: RemoteTuning) -> None:
    """Nobody waits for what it was about to create; but what it has created at the last moment is not doubled."""
    tuning.cloud.faults.add(Fault("slow_start", seconds=1000.0))
    job = tuning.launch(tuning.tuner(False, SPACE, trials=1)).job_name
    tuning.place.write_task(1, Settings(NAME, "", ROOT, 3600), {}, claim(job=job))
    with pytest.raises(LaunchedElsewhere, match=f"by training job {job}, pid 4711 on host laptop"):
        check_none_under_way(tuning.place, [0, 1], 0)
    tuning.cloud.stop_job(job)
    tuning.wait_for_end(job)
    check_none_under_way(tuning.place, [0, 1], 0)
    described = tuning.cloud.client("sagemaker").describe_training_job(TrainingJobName=job)
    uri = tuning.bucket.uri(tuning.place.keys.task_folder(TRIAL, 1))
    request = successor_of(described, tuning.place.job_name(NAME, 1), uri, 1, "digest")
    tuning.cloud.client("sagemaker").create_training_job(**request)
    with pytest.raises(LaunchedElsewhere):
        check_none_under_way(tuning.place, [0, 1], 0)


def test_a_task_is_never_overwritten(place: TunerPlace) -> None:
    """Neither is what lies beside it; who has it is named even where its task cannot be read."""
    place.write_task(0, SETTINGS, {PICKLE: b"first"}, claim())
    with pytest.raises(Conflict):
        place.write_task(0, SETTINGS, {PICKLE: b"second"}, claim(nonce="ours"))
    assert place.bucket.get(place.keys.task_folder(TRIAL, 0) + PICKLE).body == b"first"  # type: ignore[union-attr]
    place.bucket.put(place.keys.task(TRIAL, 0), b"{")
    with (
        pytest.raises(LaunchedElsewhere, match="has just been made, by another process"),
        launch(place, 0, SETTINGS, {}),
    ):
        raise AssertionError("there is another launch of this number")


def test_a_launch_that_died_holds_up_no_other(tuning: RemoteTuning) -> None:
    """The next one takes the next number."""
    settings = Settings(NAME, "", ROOT, 3600)
    tuning.place.write_task(0, settings, {}, claim(**process_identity(), pid=dead_process()))
    launched = tuning.launch(tuning.tuner(False, SPACE, trials=1))
    assert launched.job_name == tuning.place.job_name(NAME, 1)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    tuning.check_whole({0: 1})


def test_what_runs_is_found_behind_a_launch_that_died(tuning: RemoteTuning) -> None:
    """A later number without a job does not hide the one that runs."""
    launched = tuning.launch(tuning.tuner(True, {"epochs": 2, "hold": 1}, trials=1))
    tuning.place.write_task(1, Settings(NAME, "", ROOT, 3600), {}, claim())
    assert tuning.launch(tuning.tuner(True, {"epochs": 2, "hold": 1}, trials=1)) == launched
    assert len(tuning.tuner_jobs()) == 1
    tuning.release(0)
    tuning.wait_for_end(launched.job_name)


def test_a_successor_that_was_about_to_be_created(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this very job, whose machine was replaced: it creates the next one. By somebody else: that one carries on."""
    tuning.cloud.faults.add(Fault("slow_start", seconds=1000.0))
    launched = tuning.launch(tuning.tuner(False, SPACE, trials=1))
    described = tuning.cloud.client("sagemaker").describe_training_job(TrainingJobName=launched.job_name)
    settings = Settings(NAME, "", ROOT, 3600)
    tuning.place.write_task(1, settings, {}, claim(job=launched.job_name))

    def successor(attempt: int) -> str:
        return create_successor(tuning.place, described, [], settings, {}, attempt)

    with pytest.raises(LaunchedElsewhere, match=f"training job {launched.job_name}, pid 4711"):
        successor(1)
    monkeypatch.setenv("TRAINING_JOB_NAME", launched.job_name)
    assert successor(1) == tuning.place.job_name(NAME, 2)
    assert successor(2) == tuning.place.job_name(NAME, 2)  # its answer had been lost
    assert len(tuning.tuner_jobs()) == 2


# ---------------------------------------------------------------------- driven elsewhere


def test_an_experiment_that_a_tuner_elsewhere_drives(tuning: RemoteTuning) -> None:
    """It is refused at once, naming host, process and since when; taking over is how it is elsewhere."""
    store = S3Store(tuning.bucket, ROOT)
    store.open()
    who = rf"pid {os.getpid()} on host {socket.gethostname()} \(user .*\) since \d{{4}}-"
    with pytest.raises(
        ExperimentLocked, match=rf"'{NAME}' is driven by {who}.* take over with RemoteLauncher\.run\(takeover=True\)"
    ):
        tuning.launch(tuning.tuner(False, SPACE, trials=1))
    assert tuning.tuner_jobs() == []
    launched = tuning.launch(tuning.tuner(False, SPACE, trials=1), takeover=True)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    tuning.check_whole({0: 1})
    with pytest.raises(Fenced, match="was taken over by"):
        store.append([{"event": "note"}])
        store.flush()
    store.close()


def test_a_tuner_that_is_being_stopped(tuning: RemoteTuning) -> None:
    """Its job does not continue the experiment: who launches again is told to wait, and finds it continued then."""
    fault = tuning.cloud.faults.add(Fault("hang_stopping", seconds=15.0, job=f"{NAME}-tuning-*"))
    tuner = tuning.tuner(False, {"epochs": 4, "hold": 2}, trials=1)
    first = tuning.launch(tuner, store_logs_localbackend=True).job_name
    tuning.wait_for_reports(2)
    tuning.cloud.stop_job(first)
    with pytest.raises(ExperimentLocked, match=f"{first}, .* is being stopped: launch again once `cloudtune status"):
        tuning.launch(tuner)
    tuning.wait_for_end(first)
    tuning.cloud.faults.remove(fault)
    tuning.release(0)
    again = tuning.launch(tuner, store_logs_localbackend=True).job_name
    assert tuning.wait_for_end(again)["status"] == "Completed"
    tuning.check_whole({0: 4})


def test_the_time_of_the_last_trials(tuning: RemoteTuning) -> None:
    """The job is told how long they may run where it is to wait for them: its successors need as long."""
    tuner = tuning.tuner(True, SPACE, trials=1)
    tuner.stop_criterion = StoppingCriterion(max_num_trials_started=1, max_wallclock_time=600)
    tuner.wait_trial_completion_when_stopping = True
    launched = tuning.launch(tuner)
    settings = tuning.place.settings_of(0)
    assert settings is not None
    last = tuner.trial_backend.longest_trial()
    assert last is not None
    assert last > 0
    assert (settings.longest, settings.last_trials) == (600 + last, last)
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"


def test_taking_over_is_from_nobody_else(tuning: RemoteTuning) -> None:
    """Whoever has taken the experiment since the launch is not meant, and keeps it."""
    store = S3Store(tuning.bucket, ROOT)
    store.open()
    fault = tuning.cloud.faults.add(Fault("slow_start", seconds=10.0, job=f"{NAME}-tuning-*"))
    launched = tuning.launch(tuning.tuner(False, SPACE, trials=1), takeover=True)
    store.close()
    store.open()
    task = json.loads(tuning.bucket.get(tuning.place.keys.task(TRIAL, 0)).body)  # type: ignore[union-attr]
    assert task["config"]["takeover_from"]
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert "is driven by" in job["failure_reason"]
    store.append([{"event": "note"}])
    store.flush()
    store.close()
    tuning.cloud.faults.remove(fault)


class TakesTheExperiment(TunerCallback):
    """Another tuner takes the experiment as its last trial ends."""

    def __init__(self, store: S3Store) -> None:
        self.store = store
        self.ended = False

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        self.store.open(takeover=True)

    def on_tuning_end(self) -> None:
        self.ended = True


def test_an_end_that_never_reached_the_log(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is fenced at the very end says so, and has not come to the end; its callbacks hear that it stops."""
    monkeypatch.setenv("GATES", str(tuning.gates))
    other = TakesTheExperiment(S3Store(tuning.bucket, ROOT))
    tuner = tuning.tuner(False, SPACE, trials=1, store=S3Store(tuning.bucket, ROOT), callbacks=[other])
    with pytest.raises(Fenced, match=r"was taken over by pid \d+"):
        tuner.run()
    other.store.close()
    assert other.ended
    assert tuning.entries("finish") == []
    with pytest.raises(ExperimentMismatch, match="ended before its log could be written"):
        tuner.run()
