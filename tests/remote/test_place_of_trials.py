"""Where the trials of a remote experiment are, and who finds them there: the next tuner, and who ends them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune import Tuner
from cloudtune.aws.clients import aws_for
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.experiments import load_experiment
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.remote.stopping import Stopping
from cloudtune.store import entries
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import NAME, ROOT, RemoteTuning

pytestmark = pytest.mark.timeout(600)


def launched(tuning: RemoteTuning, s3_path: str | None) -> str:
    """The job of a tuner whose trial trains; it was launched into the test's bucket.

    Args:
        tuning: The experiment.
        s3_path: Of the trials' backend.
    """
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1, workers=1)
    assert isinstance(tuner.trial_backend, SageMakerBackend)
    tuner.trial_backend.s3_path = s3_path
    job = tuning.launch(tuner).job_name
    tuning.wait_for_reports(2)
    return job


def kill(tuning: RemoteTuning, job: str) -> None:
    """The tuner is gone, and its machine with it."""
    tuning.cloud.faults.add("job_internal_error", job=job, seconds=0)
    assert tuning.wait_for_end(job)["status"] == "Failed"


def place_of_trials(tuning: RemoteTuning) -> str:
    """Where they report to, as the log and their jobs say."""
    (noted,) = tuning.entries(entries.PLACE)
    client = tuning.cloud.client("sagemaker")
    (trial,) = tuning.trial_jobs()
    environment = client.describe_training_job(TrainingJobName=trial["name"])["Environment"]
    place: str = noted["trials_at"]["place"]
    assert place in environment.values()
    return place


@pytest.mark.parametrize("own", [None, "s3://own/team"])
def test_a_dead_tuners_trials_are_ended(tuning: RemoteTuning, own: str | None) -> None:
    """They are beside the log, unless their backend has a place of its own; either way they are found and ended."""
    tuning.cloud.client("s3").create_bucket(Bucket="own")
    kill(tuning, launched(tuning, own))
    id_ = tuning.entries(entries.EXPERIMENT)[0]["experiment_id"]
    assert place_of_trials(tuning) == f"{own or f's3://{BUCKET}'}/{ROOT}{id_}/"
    found = find_in_s3(NAME, f"s3://{BUCKET}", aws_for(None, None))
    result = Stopping(found, leave_trials=False, grace=60.0, tell=lambda _: None, interval=0.1).run()
    assert (len(result.ended), result.running, result.failed) == (1, [], {})
    tuning.check_nothing_runs()


def test_a_tuner_elsewhere_finds_them(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is taken over on a machine that is set up for another region, and whose credentials have a name."""
    kill(tuning, launched(tuning, None))
    place = place_of_trials(tuning)
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile work]\n")
    credentials.write_text("[work]\naws_access_key_id = worker\naws_secret_access_key = worker\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-west-1")
    taken = Tuner.takeover(NAME, f"s3://{BUCKET}", region="us-east-1", profile="work")
    assert isinstance(taken.trial_backend, SageMakerBackend)
    assert taken.trial_backend.profile == "work"
    tuning.release(0)
    taken.run()
    tuning.check_whole({0: 4})
    assert place_of_trials(tuning) == place


def test_a_launch_goes_where_commands_look(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the place that the environment names, where launcher and backend name none."""
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}/team")
    tuner = tuning.tuner(True, {"epochs": 1}, trials=1)
    assert isinstance(tuner.trial_backend, SageMakerBackend)
    tuner.trial_backend.s3_path = None
    experiment = tuning.launch(tuner, s3_path=None)
    assert experiment.place.startswith(f"s3://{BUCKET}/team/cloudtune/")
    assert tuning.wait_for_end(experiment.job_name)["status"] == "Completed"
    assert list(load_experiment(experiment.name).results["epoch"]) == [1]
