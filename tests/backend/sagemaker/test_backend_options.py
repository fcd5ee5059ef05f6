"""What SageMakerBackend refuses when it is made, and what it knows before it is open."""

from __future__ import annotations

import json
import math
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.errors import InvalidRequest
from cloudtune.backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend import Cadence, TrainingJob
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.localcloud import LocalCloud
from cloudtune.trial import Bill, Trial
from tests.backend.sagemaker.harness import BUCKET, make_backend


def job(folder: Path, source: str = "pass", **members: Any) -> TrainingJob:
    script = folder / "my_train.py"
    script.write_text(source)
    return TrainingJob(script, **members)


def test_spot_needs_checkpoints(tmp_path: Path) -> None:
    """Spot instances are refused for a script that does not seem to save anything, unless the user insists."""
    with pytest.raises(ValueError, match=r"nothing in the source of my_train.py mentions st_checkpoint_dir"):
        SageMakerBackend(job(tmp_path, use_spot=True))
    SageMakerBackend(job(tmp_path, use_spot=True), spot_without_checkpoints=True)
    SageMakerBackend(job(tmp_path, "parser.add_argument('--st_checkpoint_dir')", use_spot=True))
    SageMakerBackend(job(tmp_path))


def test_spot_needs_checkpoints_without_the_agent_too(tmp_path: Path) -> None:
    """SageMaker keeps a folder, and whoever writes nothing into it begins anew."""
    own: dict[str, Any] = {"use_spot": True, "keep_own_entry": True}
    with pytest.raises(ValueError, match=r"nothing in the source of my_train.py mentions /opt/ml/checkpoints, whose"):
        SageMakerBackend(job(tmp_path, **own))
    with pytest.raises(ValueError, match="mentions /data/kept, whose files SageMaker keeps"):
        SageMakerBackend(job(tmp_path, checkpoint_local_path="/data/kept", **own))
    SageMakerBackend(job(tmp_path, **own), spot_without_checkpoints=True)
    SageMakerBackend(job(tmp_path, "torch.save(state, '/opt/ml/checkpoints/x')", **own))
    SageMakerBackend(job(tmp_path, "torch.save(state, '/data/kept/x')", checkpoint_local_path="/data/kept", **own))
    SageMakerBackend(job(tmp_path, hyperparameters={"output_dir": "/opt/ml/checkpoints"}, **own))


@pytest.mark.parametrize(
    ("options", "members", "words"),
    [
        ({"report_channel": "mail"}, {}, "report_channel must be one of auto, s3, logs"),
        ({"report_channel": "s3"}, {"enable_network_isolation": True}, "the job has no network"),
        ({"report_channel": "s3"}, {"keep_own_entry": True}, "starts without cloudtune's agent"),
        ({"stop_grace": 121}, {}, "stop_grace must be 0 to 100 seconds"),
        ({"stop_grace": -1}, {}, "stop_grace must be 0 to 100 seconds"),
        ({"stop_grace": "60"}, {}, "stop_grace must be 0 to 100 seconds, got '60'"),
        ({"stop_grace": True}, {}, "stop_grace must be 0 to 100 seconds, got True"),
        ({"metrics_names": "loss"}, {}, r"metrics_names are a list, got 'loss'; write \['loss'\]"),
        ({"metrics_names": 5}, {}, "metrics_names are a list of texts, got 5"),
        ({"metrics_names": ["loss", 3]}, {}, "metrics_names are a list of texts, got 3 in it"),
        ({"metrics_names": [""]}, {}, "metrics_names are a list of texts, got '' in it"),
        ({"fallback_instance_types": "ml.g5.xlarge"}, {}, r"write \['ml.g5.xlarge'\]"),
        ({"fallback_instance_types": None}, {}, "fallback_instance_types are a list of texts, got None"),
        ({"s3_path": 5}, {}, "s3_path must be a text, got 5"),
        ({"s3_path": "s3:/bucket"}, {}, "s3_path: 's3:/bucket' names no S3 bucket"),
        ({"kms_key": 5}, {}, "kms_key must be a text, got 5"),
        ({"inputs": ["s3://a/b"]}, {}, r"inputs map the names of channels to s3:// prefixes, got \['s3://a/b'\]"),
        ({"source_limit": -1}, {}, "source_limit must be a whole number of bytes, at least 1, got -1"),
        ({"source_limit": "1MB"}, {}, "source_limit must be a whole number of bytes, at least 1, got '1MB'"),
        ({"cadence": {"poll": 1}}, {}, "cadence must be a Cadence, such as "),
        ({"keep_own_entry": "yes"}, {}, "keep_own_entry must be True or False, or be left out, got 'yes'"),
        ({"delete_checkpoints": "no"}, {}, "delete_checkpoints must be True or False, got 'no'"),
        (
            {"pass_args_as_json": True},
            {"keep_own_entry": True},
            r"pass_args_as_json is not possible, .* \(keep_own_entry is set\); leave it out",
        ),
        ({"fallback_instance_types": ["g5.xlarge"]}, {}, "did you mean 'ml.g5.xlarge'"),
        (
            {"fallback_instance_types": ["ml.g5.xlarge"]},
            {"instance_groups": [{"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1}]},
            "the job has groups of instances",
        ),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], members: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Each is refused in one sentence when the backend is made, not when the first trial starts."""
    with pytest.raises(ValueError, match=words):
        SageMakerBackend(job(tmp_path, **members), **options)


def test_what_describes_no_job_is_refused(tmp_path: Path) -> None:
    """Anything else than a description of a job is refused, with what is expected."""
    with pytest.raises(TypeError, match="describes no job"):
        SageMakerBackend(str(tmp_path))


def test_a_cadence_has_no_zeros() -> None:
    """An interval of zero would be a loop that never rests."""
    with pytest.raises(ValueError, match="poll must be above 0 seconds"):
        Cadence(poll=0)
    with pytest.raises(ValueError, match="settle must be above 0 seconds"):
        Cadence(settle=(1.0, 0.0))


@pytest.mark.parametrize("odd", [{"poll": "1"}, {"poll": math.nan}, {"status": math.inf}, {"settle": [1.0, 2.0]}])
def test_a_cadence_is_made_of_seconds(odd: dict[str, Any]) -> None:
    """Whatever is none is told with its name."""
    with pytest.raises(ValueError, match=f"Cadence: {next(iter(odd))} must be "):
        Cadence(**odd)


@pytest.mark.parametrize("slow", [{"life": 1300.0}, {"agent_watch": 1300.0}, {"life_timeout": 100.0}])
def test_a_tuner_that_lives_is_not_taken_for_dead(slow: dict[str, Any]) -> None:
    """Signs of life come, and are looked at, some times before their absence ends a trial."""
    with pytest.raises(ValueError, match="life_timeout must be at least three times as long as life"):
        Cadence(**slow)


def test_reports_go_through_s3_where_they_can(tmp_path: Path) -> None:
    """Through S3 where the job can; through its log where it has no network or no agent, or the user wants it."""
    assert SageMakerBackend(job(tmp_path)).uses_s3
    assert not SageMakerBackend(job(tmp_path), report_channel="logs").uses_s3
    assert not SageMakerBackend(job(tmp_path, enable_network_isolation=True)).uses_s3
    assert not SageMakerBackend(job(tmp_path, keep_own_entry=True)).uses_s3


def test_it_is_called_like_the_script_and_may_be_pickled(tmp_path: Path) -> None:
    """The experiment is called like the script; a backend that is not open can be sent anywhere."""
    backend = SageMakerBackend(job(tmp_path), fallback_instance_types=["ml.g5.xlarge"])
    again = pickle.loads(pickle.dumps(backend))
    assert backend.default_name == again.default_name == "my-train"
    assert again.fallback_instance_types == ("ml.g5.xlarge",)
    assert backend.start_jobs_without_delay is False


def test_a_place_that_is_too_long_is_told_at_once(cloud: LocalCloud, tmp_path: Path) -> None:
    """Not by the failure of each trial: jobs are told of their experiment's place by an environment variable."""
    backend = make_backend(s3_path=f"s3://{BUCKET}/" + "p" * 500)
    with pytest.raises(InvalidRequest, match=r"a place of 5\d\d characters, .* give a shorter s3_path"):
        backend.open(ExperimentPlace("long", "abcdef", tmp_path, 1))
    assert cloud.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    longest = 512 - len(f"s3://{BUCKET}//cloudtune/long/long/abcdef/")
    backend = make_backend(s3_path=f"s3://{BUCKET}/" + "p" * longest)
    backend.open(ExperimentPlace("long", "abcdef", tmp_path, 1))
    backend.close(stop_running=True)


def test_the_key_reaches_the_output_of_jobs(cloud: LocalCloud, tmp_path: Path) -> None:
    """Models and output lie in the experiment's place, too."""
    backend = make_backend(kms_key="alias/experiments")
    backend.open(ExperimentPlace("keys", "abcdef", tmp_path, 1))
    try:
        backend.start_trial(Trial(0, {"reports": 0}))
        found = wait_for_job(cloud)
    finally:
        backend.close(stop_running=True)
    assert found["OutputDataConfig"]["S3OutputPath"].startswith(f"s3://{BUCKET}/cloudtune/keys/")
    assert found["OutputDataConfig"]["KmsKeyId"] == "alias/experiments"


@pytest.mark.parametrize("own", [None, "alias/own"])
def test_the_place_and_key_of_the_log_hold_for_trials(cloud: LocalCloud, tmp_path: Path, own: str | None) -> None:
    """Unless the backend was given its own: for what the tuner writes, what jobs write, and what agents are told."""
    place = ExperimentPlace("keys", "abcdef", tmp_path, 1)
    backend = make_backend(s3_path=None, kms_key=own)
    backend.open(replace(place, s3_path=f"s3://{BUCKET}/beside", s3_region="us-east-1", kms_key="alias/log"))
    try:
        at = backend.trials_at()
        backend.start_trial(Trial(0, {"reports": 0}))
        found = wait_for_job(cloud)
    finally:
        backend.close(stop_running=True)
    root = "beside/cloudtune/keys/keys/abcdef/"
    assert at == {"place": f"s3://{BUCKET}/{root}", "region": "us-east-1"}
    assert found["OutputDataConfig"]["KmsKeyId"] == (own or "alias/log")
    s3 = cloud.client("s3")
    assert s3.head_object(Bucket=BUCKET, Key=f"{root}life.json")["SSEKMSKeyId"] == (own or "alias/log")
    task = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{root}trials/0/0/task/task.json")["Body"].read())
    assert task["kms_key"] == (own or "alias/log")


def wait_for_job(cloud: LocalCloud) -> dict[str, Any]:
    """What SageMaker tells of the only job, once there is one."""
    deadline = time.monotonic() + 60
    while not cloud.jobs():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    described: dict[str, Any] = cloud.client("sagemaker").describe_training_job(TrainingJobName=cloud.jobs()[0]["name"])
    return described


def test_it_has_not_wound_down_before_the_last_bill_was_taken(cloud: LocalCloud, tmp_path: Path) -> None:
    """A bill that came since the last poll is waited for: the tuner would end without it."""
    backend = make_backend()
    backend.open(ExperimentPlace("bills", "abcdef", tmp_path, 1))
    try:
        assert backend._work is not None
        backend._work.desk.deliver([Bill(0, 0, 1.0, 10.0, 0.0, "ml.m5.large", final=True)])
        before = backend.wind_down()
        events = backend.poll(10)
        while not backend.wind_down():
            events += backend.poll(0.1)
    finally:
        backend.close(stop_running=True)
    assert not before
    assert [type(event) for event in events] == [Bill]
