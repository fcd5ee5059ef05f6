"""Commands for an experiment whose objects in S3 are damaged: what they can do without them, they do."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.job_names import job_name
from cloudtune.aws.our_jobs import TAG_EXPERIMENT, TAG_PLACE, TAG_TAG, TAG_TRIAL
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments.s3_finding import S3Experiment, find_in_s3
from cloudtune.remote.changes import changes_of
from cloudtune.remote.launches import writable
from cloudtune.remote.outputs import NoOutput, of_remote_trial
from cloudtune.remote.relaunching import launch_again
from cloudtune.remote.standing import standing_in_s3
from cloudtune.remote.stopping import Stopping
from cloudtune.remote.tuner_job import Settings
from cloudtune.stopping_criterion import StoppingCriterion
from tests.aws.conftest import training_request
from tests.experiments.in_s3 import header
from tests.experiments.recorded import METADATA, trial
from tests.remote.test_following import NAME, ROOT, Remote, finish, remote
from tests.remote.test_launching_again import described, ship

__all__ = ["remote"]


def found(remote: Remote) -> S3Experiment:
    """The experiment, by its name."""
    return find_in_s3(NAME, "s3://experiments", remote.aws)


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _of_other_types(body: bytes) -> bytes:
    """Valid JSON, with other values than anybody expects."""
    try:
        said = json.loads(body)
    except ValueError:
        return b'"7"'
    return json.dumps(dict.fromkeys(said, "?") if isinstance(said, dict) else 7).encode()


def spoil(remote: Remote, how: Callable[[bytes], bytes]) -> list[str]:
    """Damages all that lies in S3 but the log; names of the objects."""
    bucket = remote.place.bucket
    keys = [one.key for one in bucket.list(ROOT) if not one.key.startswith(f"{ROOT}log/")]
    for key in keys:
        bucket.put(key, how(bucket.get(key).body))  # type: ignore[union-attr]
    return [key.rpartition("/")[2] for key in keys]


@pytest.mark.parametrize("how", [_half, _of_other_types, lambda _: b"[]", lambda _: b"\xff\xfe"])
def test_stop_and_status_need_none_of_them(remote: Remote, how: Callable[[bytes], bytes]) -> None:
    """The tuner's job ends, after its grace by StopTrainingJob; how it stands, the log and SageMaker tell."""
    job = remote.launch()
    ship(remote, 0, b"pickle")
    remote.open(header(NAME), trial(0, lr=0.1))
    remote.store.write_metadata({**METADATA, "st_limits": {"trials started": 2}})
    names = spoil(remote, how)
    assert {"task.json", "life.json", "lease.json", "metadata.json", "shipment.json", "tuner.dill"} <= {*names}
    standing = standing_in_s3(found(remote))
    assert standing.trials == {"InProgress": 1}
    assert standing.limits == []
    result = Stopping(found(remote), leave_trials=False, grace=0.2, tell=lambda _: None, interval=0.1).run()
    assert (result.job, result.job_status) == (job, "Stopped")
    assert standing_in_s3(found(remote)).tuner.status == "Stopped"  # type: ignore[union-attr]
    with pytest.raises(ExperimentNotFound, match=r"gone from s3://.*, or damaged; launch it again by its script"):
        _launch_again_whatever_was_shipped(remote)


def _launch_again_whatever_was_shipped(remote: Remote) -> None:
    remote.place.bucket.delete([f"{ROOT}lease.json"])
    ship(remote, 0, b"pickle")
    launch_again(found(remote), {})


def test_stop_finds_trials_without_the_log(remote: Remote) -> None:
    """Jobs that a dead tuner has left are found by their tags where the log is damaged at its beginning."""
    remote.open(header(NAME), trial(0, lr=0.1))
    remote.close()
    bucket = remote.place.bucket
    for listed in bucket.list(f"{ROOT}log/"):
        bucket.put(listed.key, _half(bucket.get(listed.key).body))  # type: ignore[union-attr]
    name = job_name(NAME, "abc123", 0, 0)
    place = f"{bucket.uri(ROOT)}abc123/"
    request = training_request(
        name,
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); time.sleep(1000)",
        Environment={protocol.ENV_PLACE: place},
        Tags=[
            {"Key": TAG_EXPERIMENT, "Value": NAME},
            {"Key": TAG_TAG, "Value": NAME},
            {"Key": TAG_TRIAL, "Value": "0"},
            {"Key": TAG_PLACE, "Value": place},
        ],
    )
    remote.cloud.client("sagemaker").create_training_job(**request)
    result = Stopping(found(remote), leave_trials=False, grace=0.2, tell=lambda _: None, interval=0.1).run()
    assert (result.ended, result.running, result.failed) == ([name], [], {})
    assert standing_in_s3(found(remote)).damage


def launched(
    remote: Remote, number: int, max_run: int = 3600, request: Mapping[str, Any] | None = None, **more: Any
) -> str:
    """A launch whose job has ended; its name."""
    name = remote.launch(number, **(request or {}))
    ship(remote, number, b"pickle")
    settings = Settings(NAME, "", ROOT, max_run, **more)
    remote.place.bucket.delete([remote.place.keys.task(0, number)])
    remote.place.write_task(number, settings, {})
    remote.end(number)
    remote.cloud.wait_for_job(name)
    return name


def test_the_task_of_the_newest_launch(remote: Remote, caplog: pytest.LogCaptureFixture) -> None:
    """That of the launch before is taken, with its key; what is lost is said."""
    caplog.set_level(logging.WARNING, "cloudtune")
    remote.open(header(NAME), trial(0, lr=0.1))
    launched(remote, 0, log_level="DEBUG")
    launched(remote, 1, changes=changes_of(n_workers=3))
    remote.close(finish("interrupted"))
    keys = remote.place.keys
    key = "arn:aws:kms:us-east-1:123456789012:key/one"
    first = remote.place.task_of(0)
    remote.place.bucket.put(keys.task(0, 0), json.dumps({**(first or {}), "kms_key": key}).encode())
    second = remote.place.bucket.get(keys.task(0, 1))
    remote.place.bucket.put(keys.task(0, 1), _half(second.body))  # type: ignore[union-attr]
    assert writable(found(remote)).bucket.kms_key == key
    remote.place.bucket.put(keys.task(0, 0), json.dumps(first).encode())
    again = launch_again(found(remote), {})
    settings = remote.place.settings_of(2)
    assert settings is not None
    assert (again, settings.log_level, settings.changes) == (remote.place.job_name(NAME, 2), "DEBUG", {})
    assert f"{remote.place.bucket.uri(keys.task(0, 1))} is gone, or damaged: limits that it has changed" in caplog.text
    remote.end(2)


def test_the_time_of_a_job_like_an_earlier_one(remote: Remote) -> None:
    """On spot it may wait as long beyond the new time as it might beyond the old one: AWS takes no shorter max_wait."""
    remote.open(header(NAME), trial(0, lr=0.1))
    times = {"MaxRuntimeInSeconds": 4000, "MaxWaitTimeInSeconds": 9000}
    first = launched(remote, 0, 4000, {"EnableManagedSpotTraining": True, "StoppingCondition": times})
    launched(remote, 1, 400_000)
    remote.close(finish("interrupted"))
    remote.place.bucket.put(remote.place.keys.task_folder(0, 1) + "tuner.dill", b"damaged")
    again = launch_again(found(remote), {})
    assert described(remote, first)["StoppingCondition"] == times
    assert described(remote, again)["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 400_000,
        "MaxWaitTimeInSeconds": 405_000,
    }
    remote.end(2)


@pytest.mark.parametrize("as_job", [True, False])
def test_the_output_of_a_trial(remote: Remote, as_job: bool) -> None:
    """Without metadata the trial's training job tells, if there is one."""
    remote.open(header(NAME), trial(0, lr=0.1))
    remote.store.write_metadata({"backend": "SageMakerBackend" if as_job else "LocalBackend"})
    spoil(remote, _half)
    if as_job:
        name = job_name(NAME, "abc123", 0, 0)
        request = training_request(name, "print('what it wrote')")
        remote.cloud.client("sagemaker").create_training_job(**request)
        remote.cloud.wait_for_job(name)
        assert "what it wrote" in [*of_remote_trial(found(remote), 0, follow=False)]
    else:
        with pytest.raises(NoOutput, match="stayed on its tuner's machine"):
            list(of_remote_trial(found(remote), 0, follow=False))
    remote.close()


def test_limits_that_were_changed_are_not_lost_with_others(remote: Remote) -> None:
    """A change of another resume stays beside the newest one."""
    remote.open(header(NAME), trial(0, lr=0.1))
    launched(remote, 0, changes=changes_of(n_workers=3))
    remote.close(finish("interrupted"))
    launch_again(found(remote), changes_of(StoppingCriterion(max_wallclock_time=50)))
    settings = remote.place.settings_of(1)
    assert settings is not None
    assert settings.changes["n_workers"] == 3
    assert settings.changes["stop_criterion"]["max_wallclock_time"] == 50
    remote.end(1)
