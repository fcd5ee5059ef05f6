"""The jobs of an experiment's trials, found by what is left of its log."""

from __future__ import annotations

import logging

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.job_names import job_name
from cloudtune.aws.our_jobs import TAG_EXPERIMENT, TAG_PLACE, TAG_TAG, TAG_TRIAL
from cloudtune.experiments.s3_finding import S3Experiment, find_in_s3
from cloudtune.remote.stopping import Stopped, Stopping
from cloudtune.store.s3_store import S3Store
from tests.aws.conftest import training_request
from tests.experiments.in_s3 import header
from tests.experiments.recorded import trial
from tests.remote.test_following import NAME, ROOT, Remote, remote

__all__ = ["remote"]

OWN = f"s3://data/own/{ROOT}"
#: Ends when it is told to.
DEAF = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); time.sleep(1000)"


def found(remote: Remote) -> S3Experiment:
    """The experiment, by its name."""
    return find_in_s3(NAME, "s3://experiments", remote.aws)


def begin_trial(remote: Remote, experiment_id: str, root: str, name: str = NAME) -> str:
    """A job of a trial whose files lie below a folder; its name."""
    job = job_name(name, experiment_id, 0, 0)
    place = f"{root}{experiment_id}/"
    tags = {TAG_EXPERIMENT: name, TAG_TAG: name, TAG_TRIAL: "0", TAG_PLACE: place}
    remote.cloud.client("sagemaker").create_training_job(
        **training_request(
            job,
            DEAF,
            Environment={protocol.ENV_PLACE: place, protocol.ENV_JOB_ID: f"{experiment_id}-0-0"},
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
    )
    return job


def begin_log(remote: Remote, experiment_id: str, place: str) -> None:
    """A tuner notes its experiment, where its trials are, and a trial, and is gone. Each in a segment of its own."""
    store = S3Store(remote.place.bucket, ROOT)
    store.open()
    for entry in (
        header(NAME, experiment_id=experiment_id),
        {"event": "place", "trials_at": {"place": place, "region": "us-east-1"}},
        trial(0, lr=0.1),
    ):
        store.append([entry])
        store.flush()
    store.close()


def damage(remote: Remote, *segments: int) -> None:
    """Cuts segments of the log off."""
    bucket = remote.place.bucket
    for number in segments:
        key = f"{ROOT}log/{number:08d}.jsonl"
        bucket.put(key, bucket.get(key).body[:40])  # type: ignore[union-attr]


def stop(remote: Remote) -> Stopped:
    """``cloudtune stop``."""
    return Stopping(found(remote), leave_trials=False, grace=0.2, tell=lambda _: None, interval=0.1).run()


@pytest.mark.parametrize("segments", [(1,), (1, 2)])
def test_their_place_is_read_behind_the_damage(remote: Remote, segments: tuple[int, ...]) -> None:
    """They lie elsewhere than the log, whose beginning is lost; what stands behind it still says where."""
    begin_log(remote, "abc123", f"{OWN}abc123/")
    damage(remote, *segments)
    job = begin_trial(remote, "abc123", OWN)
    other = begin_trial(remote, "zzz999", "s3://data/own/cloudtune/other/other/", name="other")
    result = stop(remote)
    assert (result.ended, result.running, result.failed) == ([job], [], {})
    left = remote.cloud.client("sagemaker").describe_training_job(TrainingJobName=other)
    assert left["TrainingJobStatus"] == "InProgress"


def test_a_tuner_has_begun_anew_behind_the_damage(remote: Remote) -> None:
    """The jobs of both are ended: those that its log tells of, and those that the lost one told of."""
    begin_log(remote, "abc123", f"{remote.uri}abc123/")
    damage(remote, 1, 2, 3, 4)
    begin_log(remote, "def456", f"{OWN}def456/")
    jobs = [begin_trial(remote, "abc123", remote.uri), begin_trial(remote, "def456", OWN)]
    result = stop(remote)
    assert (result.ended, result.running, result.failed) == (sorted(jobs), [], {})


def test_what_may_be_anothers_is_left_alone(remote: Remote, caplog: pytest.LogCaptureFixture) -> None:
    """Of jobs elsewhere nothing says whose they are: a warning names them, and how they are ended."""
    caplog.set_level(logging.WARNING, "cloudtune")
    begin_log(remote, "abc123", f"{OWN}abc123/")
    damage(remote, 1, 2, 3, 4)
    job = begin_trial(remote, "abc123", OWN)
    result = stop(remote)
    assert (result.ended, result.running) == ([], [])
    state = remote.cloud.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert state["TrainingJobStatus"] == "InProgress"
    assert f"{job} runs for an experiment of this name, with its files in {OWN}abc123/" in caplog.text
    assert f"`cloudtune reap {job}` ends it" in caplog.text
