"""The tuner's training job: its objects in S3, its request, and that of its successor."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.clients import Aws
from cloudtune.aws.job_template import TrainingJob, template_of
from cloudtune.aws.our_jobs import find_our_jobs
from cloudtune.aws.reaping import orphans, reap
from cloudtune.aws.signs_of_life import SignOfLife, call_off, signs_of_life
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.aws.trial_request import resolve
from cloudtune.cli.ps import as_object
from cloudtune.remote.tuner_job import PICKLE, TRIAL, Settings, TunerPlace, is_ours, successor_of

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3"
SETTINGS = Settings(name="digits", tag="", root="cloudtune/digits/digits/", max_run=3600)


def make_request(aws: Aws, place: TunerPlace, script: Path, attempt: int = 0, **job: Any) -> dict[str, Any]:
    template = template_of(
        TrainingJob(
            script, instance_type="ml.m5.large", image_uri=IMAGE, role="arn:aws:iam::123456789012:role/t", **job
        )
    )
    resolved = resolve(template, aws, bucket=place.bucket.name)
    launched = place.write_task(attempt, SETTINGS, {})
    place.bucket.put("cloudtune/code/x/bundle.zip", b"nothing of this is run")
    request = place.request(attempt, SETTINGS, resolved, "s3://experiments/cloudtune/code/x/", ["best_loss"], launched)
    # What these tests show needs no tuner: the container sleeps.
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["sleep", "1000"]
    return request


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text("pass")
    return path


def test_a_launch_is_written_for_the_agent(place: TunerPlace) -> None:
    """Task, pickle and life object lie where the agent of the job looks; launches are counted."""
    assert place.attempts() == []
    place.write_task(0, SETTINGS, {PICKLE: b"pickled"})
    place.write_task(1, SETTINGS, {PICKLE: b"pickled"})
    assert place.attempts() == [0, 1]
    folder = place.keys.task_folder(TRIAL, 1)
    task = json.loads(place.bucket.get(folder + protocol.TASK).body)  # type: ignore[union-attr]
    assert task["attempt"] == 1
    assert task["config"]["root"] == "cloudtune/digits/digits/"
    assert task["life_timeout"] == 0
    assert place.bucket.get(folder + PICKLE).body == b"pickled"  # type: ignore[union-attr]
    assert place.bucket.get(place.keys.life) is not None


def test_wishes_of_several_at_once_are_all_kept(place: TunerPlace) -> None:
    """Each write is on the condition that nobody else wrote; a wish is for one launch only."""
    threads = [threading.Thread(target=place.put_wish, args=(number, "stop")) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [place.wish_of(number) for number in range(7)] == ["stop"] * 6 + [None]


def test_a_wish_outlives_the_next_launch_of_another_number(place: TunerPlace) -> None:
    """Launching again does not lose what somebody has asked an earlier job to do, nor obey it."""
    place.write_task(0, SETTINGS, {})
    place.put_wish(0, "pause")
    place.write_task(1, SETTINGS, {})
    assert (place.wish_of(0), place.wish_of(1)) == ("pause", None)


def test_who_called_off_all_did_not_mean_the_next_launch(aws: Aws, place: TunerPlace) -> None:
    """It runs; what single jobs were asked to do stays."""
    place.write_task(0, SETTINGS, {})
    place.put_wish(0, "pause")
    assert call_off(aws, place.uri)
    assert (place.wish_of(0), place.wish_of(1)) == ("pause", "pause")
    place.write_task(1, SETTINGS, {})
    assert (place.wish_of(0), place.wish_of(1)) == ("pause", None)


def test_a_tuners_job_that_is_reaped(aws: Aws, place: TunerPlace, script: Path) -> None:
    """`cloudtune reap NAME` stops it, which ends its trials in order; nothing stays behind that ends the next one."""
    TrainingJobs(aws).create(make_request(aws, place, script))
    (found,) = find_our_jobs(aws).jobs
    job = replace(found, hears=True)
    assert reap(aws, [job], {job.place: SignOfLife(age=10_000.0)}, grace=60.0).stopped == [job.name]
    assert place.wish_of(0) is None


def test_a_tuners_job_is_found_and_is_no_orphan(aws: Aws, place: TunerPlace, script: Path) -> None:
    """`cloudtune ps` lists it as the tuner; `cloudtune reap` leaves it, however long ago it was launched."""
    TrainingJobs(aws).create(make_request(aws, place, script))
    found = find_our_jobs(aws)
    (job,) = found.jobs
    assert (job.experiment, job.trial, job.is_tuner) == ("digits", "tuner", True)
    signs = signs_of_life(aws, [job.place])
    assert orphans([job], signs, found.now, older_than=-1.0) == ([], [])
    assert as_object(job, signs[job.place], found.now)["tuner"] is None


def test_whose_job_has_the_name(aws: Aws, place: TunerPlace, script: Path) -> None:
    """A repeated request knows its own job; those of another launch or experiment of that name are told apart."""
    request = make_request(aws, place, script)
    TrainingJobs(aws).create(request)
    assert is_ours(aws, request["TrainingJobName"], request)
    launched_again = successor_of(
        request,
        request["TrainingJobName"],
        request["InputDataConfig"][1]["DataSource"]["S3DataSource"]["S3Uri"],
        0,
        "x",
    )
    assert not is_ours(aws, request["TrainingJobName"], launched_again)
    elsewhere = make_request(aws, TunerPlace(place.bucket, "other/cloudtune/digits/digits/"), script)
    assert elsewhere["TrainingJobName"] == request["TrainingJobName"]
    assert not is_ours(aws, request["TrainingJobName"], elsewhere)


def test_a_successor_is_the_same_job_with_another_task(aws: Aws, place: TunerPlace, script: Path) -> None:
    """Image, machine, network, limits and variables stay; name, task and id are its own. AWS takes the request."""
    more = {"ExperimentConfig": {"ExperimentName": "digits"}, "RemoteDebugConfig": {"EnableRemoteDebug": True}}
    request = make_request(aws, place, script, use_spot=True, environment={"MINE": "1"}, volume_size=7, extra=more)
    TrainingJobs(aws).create(request)
    described = aws.call("sagemaker", "describe_training_job", TrainingJobName=request["TrainingJobName"])
    name = place.job_name("digits", 1)
    uri = place.bucket.uri(place.keys.task_folder(TRIAL, 1))
    launched = place.write_task(1, SETTINGS, {})
    successor = successor_of(described, name, uri, 1, launched)
    TrainingJobs(aws).create(successor)
    for member in ("ResourceConfig", "StoppingCondition", "RoleArn", "EnableManagedSpotTraining", *more):
        assert successor[member] == request[member]
    channels = {one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in successor["InputDataConfig"]}
    assert channels == {"cloudtune": "s3://experiments/cloudtune/code/x/", "cloudtune-task": uri}
    assert successor["Environment"]["MINE"] == "1"
    assert successor["Environment"][protocol.ENV_JOB_ID] == "tuning-0-1"
    assert is_ours(aws, name, successor)
