"""What one does with a remote experiment from a machine that has nothing but access to the bucket."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.clients import aws_for
from cloudtune.callbacks import TunerCallback
from cloudtune.cli import main
from cloudtune.errors import ExperimentLocked
from cloudtune.experiments import load_experiment
from cloudtune.localcloud import LocalCloud
from cloudtune.remote import RemoteLauncher
from cloudtune.remote.following import Pace, RemoteTunerFailed, follow
from cloudtune.store.places import experiments_root
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import JOB, NAME, ROOT, RemoteTuning, wait_until

pytestmark = pytest.mark.timeout(900)

#: Looks that follow each other soon.
SOON = Pace(log=0.2, quiet_log=0.5, job=0.3, quiet_job=0.5)


@pytest.fixture
def tuning(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteTuning:
    """An experiment in a bucket that the environment names; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}")
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    gates = tmp_path / "gates"
    gates.mkdir()
    monkeypatch.setenv("GATES", str(gates))
    return RemoteTuning(local_cloud, gates)


def command(*arguments: str) -> Result:
    """Runs a command; that it configures logging does not outlast it."""
    library = logging.getLogger("cloudtune")
    handlers, propagate, level = list(library.handlers), library.propagate, library.level
    try:
        return CliRunner().invoke(main, [*arguments])
    finally:
        library.handlers[:] = handlers
        library.propagate = propagate
        library.setLevel(level)


def run(*arguments: str) -> Result:
    """A command, which has to succeed."""
    done = command(*arguments)
    assert done.exit_code == 0, done.output
    return done


def status() -> dict[str, Any]:
    """What ``cloudtune status`` tells."""
    told: dict[str, Any] = json.loads(run("status", NAME, "--json").stdout)
    return told


def test_a_loop_that_is_stopped_resumed_and_followed(tuning: RemoteTuning, caplog: pytest.LogCaptureFixture) -> None:
    """Each from the bucket alone; the experiment reaches its end as if nothing had happened."""
    two = StoppingCriterion(max_num_trials_started=2, max_wallclock_time=3000)
    tuner = tuning.tuner(False, {"epochs": 3, "hold": 2}, trials=3, stop_criterion=two)
    launched = tuning.launch(tuner, store_logs_localbackend=True)
    tuning.wait_for_reports(4)
    assert not (experiments_root() / NAME).exists()
    told = status()
    assert (told["state"], told["trials"], told["reports"]) == ("running", {"InProgress": 2}, 4)
    assert told["tuner"]["name"] == launched.job_name
    assert told["driven_by"].startswith(f"training job {launched.job_name}, pid ")
    assert told["best"] == {
        "metric": "loss",
        "value": 1.0,
        "trial": 0,
        "config": {"epochs": 3, "hold": 2, "loss": 1.0},
    }
    assert {"name": "trials started", "limit": 2, "so_far": 2} in told["limits"]
    assert f"training job {launched.job_name}: Training" in run("status", NAME).stdout
    assert len(load_experiment(NAME).results) == 4
    with pytest.raises(ExperimentLocked, match="is driven by training job"):
        Tuner.takeover(NAME).run()
    refused = command("resume", NAME)
    assert refused.exit_code == 1
    assert "runs already, as training job" in refused.output

    stopped = json.loads(run("stop", NAME, "--json").stdout)
    assert (stopped["ok"], stopped["job"], stopped["job_status"]) == (True, launched.job_name, "Completed")
    assert status()["state"] == "interrupted"
    assert "about to begin" in run("logs", NAME, "0").stdout
    assert "continuing experiment" not in run("logs", NAME).stdout

    tuning.release(0, 1)
    again = json.loads(run("resume", NAME, "--json").stdout)["job"]
    assert again != launched.job_name
    caplog.set_level(logging.INFO, "cloudtune")
    assert follow(aws_for(None, None), f"s3://{BUCKET}/{ROOT}", again, pace=SOON)
    assert "Tuning ended (stopping criterion reached)" in caplog.text
    assert "Trial trial_id 1 completed." in caplog.text
    assert status()["state"] == "finished"
    tuning.check_whole({0: 3, 1: 3})
    assert "continuing experiment" in run("logs", NAME).stdout
    for nothing in ((), ("--n-workers", "3")):  # more workers have nothing to do either
        ended = command("resume", NAME, *nothing)
        assert ended.exit_code == 1
        assert "widen a limit" in ended.output
    for options, hint in ((("--plot",), "--plot needs --here"), (("--here", "--follow"), "--here or --follow")):
        refused = command("resume", NAME, *options)
        assert (refused.exit_code, hint in refused.output) == (2, True)

    tuning.release(2)
    run("resume", NAME, "--max-num-trials-started", "3", "--follow")
    tuning.check_whole({0: 3, 1: 3, 2: 3})
    assert {"name": "trials started", "limit": 3, "so_far": 3} in status()["limits"]


def test_from_remote_to_local_and_back(tuning: RemoteTuning) -> None:
    """The loop goes on here with what was shipped, and then in a job again; the log stays one."""
    tuner = tuning.tuner(False, {"epochs": 3, "hold": 2}, trials=3)
    launched = tuning.launch(tuner, store_logs_localbackend=True)
    tuning.wait_for_reports(4)
    run("stop", NAME)
    here = Tuner.takeover(NAME)
    assert here.tuner_path == experiments_root() / NAME
    here.stop_criterion = StoppingCriterion(max_num_trials_started=2)
    here.run()
    assert here.status.num_trials_completed == 2
    tuning.check_whole({0: 3, 1: 3})
    tuning.release(2)
    back = tuning.launch(tuner)
    assert back.job_name != launched.job_name
    tuning.wait_for_end(back.job_name)
    tuning.check_whole({0: 3, 1: 3, 2: 3})
    assert [entry["epoch"] for entry in tuning.entries("epoch")] == [1, 2, 3]
    jobs = [entry["owner"]["job"] for entry in tuning.entries("epoch")]
    assert jobs == [launched.job_name, None, back.job_name]
    loaded = load_experiment(NAME, load_tuner=True)
    assert loaded.tuner is not None
    assert loaded.tuner.status.num_trials_completed == 3
    assert loaded.tuner.best_config()[0] == 0


class Release(TunerCallback):
    """Lets the trials go on once the tuner drives the experiment."""

    def __init__(self, tuning: RemoteTuning) -> None:
        self._tuning = tuning

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._tuning.release(0, 1)


def test_taking_over_from_a_tuner_that_lives(tuning: RemoteTuning) -> None:
    """It is fenced and ends without touching a job; their trials go on under the new tuner."""
    launched = tuning.launch(tuning.tuner(True, {"epochs": 3, "hold": 2}, trials=2))
    tuning.wait_for_reports(4)
    here = Tuner.takeover(NAME)
    here.callbacks.append(Release(tuning))
    here.run(takeover=True)
    assert here.status.num_trials_completed == 2
    ended = tuning.wait_for_end(launched.job_name)
    assert ended["status"] == "Failed"
    # Whichever it sees first: another's lease or segment, or another's life object.
    assert re.search(
        "was taken over by pid|another tuner drives the experiment", ended["failure_reason"], re.IGNORECASE
    )
    tuning.check_whole({0: 3, 1: 3})
    assert len(tuning.trial_jobs()) == 2
    assert status()["state"] == "finished"


def test_waiting_for_what_was_launched(tuning: RemoteTuning, caplog: pytest.LogCaptureFixture) -> None:
    """``run()`` shows the experiment as if it ran here, and returns when it has ended."""
    caplog.set_level(logging.INFO, "cloudtune")
    options: dict[str, Any] = {**JOB, "s3_path": f"s3://{BUCKET}", "environment": {"GATES": str(tuning.gates)}}
    launched = RemoteLauncher(tuning.tuner(False, {"epochs": 2}, trials=1), **options).run()
    assert tuning.job(launched.job_name)["status"] == "Completed"
    assert "(trial 0) - scheduled config" in caplog.text
    assert "Tuning ended" in caplog.text
    assert run("logs", NAME, "--follow").stdout == run("logs", NAME).stdout


def test_a_tuner_that_fails(tuning: RemoteTuning) -> None:
    """Whoever follows is told why, in a sentence; the trial's own error is in the status."""
    launched = tuning.launch(tuning.tuner(False, {"epochs": 3, "crash": 1}, trials=2))
    with pytest.raises(RemoteTunerFailed, match=rf"{launched.job_name}, failed: .*max_failures=0.*no loss is left"):
        follow(aws_for(None, None), launched.place, launched.job_name, pace=SOON)
    told = status()
    assert told["state"] == "failed"
    assert "max_failures=0" in told["last_error"]


def test_trials_that_go_on_without_their_tuner(tuning: RemoteTuning) -> None:
    """They are left if asked, found and ended later; a wider limit continues with them, here."""
    tuning.launch(tuning.tuner(True, {"epochs": 3, "hold": 2}, trials=2))
    tuning.wait_for_reports(4)
    left = json.loads(run("stop", NAME, "--leave-trials", "--json").stdout)
    assert len(left["running"]) == 2
    assert {job["status"] for job in tuning.trial_jobs()} == {"InProgress"}
    assert "about to begin" in run("logs", NAME, "1").stdout
    stopped = json.loads(run("stop", NAME, "--json", "--grace", "0").stdout)
    assert (stopped["ok"], stopped["job"], stopped["running"]) == (True, None, [])
    assert sorted(stopped["ended"]) == sorted(left["running"])
    wait_until(lambda: all(job["status"] == "Stopped" for job in tuning.trial_jobs()), "the trials' ends")
    tuning.release(0, 1)
    done = run("resume", NAME, "--here", "--no-plot", "--max-num-trials-completed", "2", "--json")
    assert json.loads(done.stdout)["trials_completed"] == 2
    tuning.check_whole({0: 3, 1: 3})
    attempts = len([job for job in tuning.trial_jobs() if "-1-" in job["name"]])
    assert run("logs", NAME, "1", "--follow").stdout.count("about to begin") == attempts == 2
