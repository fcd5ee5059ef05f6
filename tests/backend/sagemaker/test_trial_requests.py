"""What a job is told: its task, its machine, its price, its tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.agent.forms import Task
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.job_template import TrainingJob, template_of
from cloudtune.aws.prices import price_per_hour
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.trial_request import resolve
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.backend.sagemaker_backend.bills import Bills
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.source_archive import SourceArchive
from cloudtune.backend.sagemaker_backend.trial_requests import TrialRequests
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.trial import Trial

KEYS = protocol.Keys("cloudtune/study/name/abcdef")


def make(desk: Desk, bucket: Bucket, folder: Path, fallbacks: tuple[str, ...] = (), **members: Any) -> TrialRequests:
    script = folder / "train.py"
    script.write_text("pass")
    job = TrainingJob(
        script,
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
        role="arn:aws:iam::123456789012:role/trainer",
        **members,
    )
    return TrialRequests(
        resolve(template_of(job), bucket.aws, bucket=bucket.name),
        bucket,
        KEYS,
        ExperimentPlace("name", "abcdef", folder, 4, tag="study"),
        SourceArchive(bucket, lambda: "s3://data/cloudtune/code/0123/"),
        Bills(desk, "us-east-1", 0),
        Cadence(),
        stop_grace=30.0,
        fallbacks=fallbacks,
        pass_args_as_json=False,
        metrics=["loss"],
    )


def attempt(**config: Any) -> Attempt:
    return Attempt(Trial(3, config, 1), "name-abcdef-3-1", "abcdef-3-1")


def task(bucket: Bucket) -> Task:
    got = bucket.get(KEYS.task(3, 1))
    assert got is not None
    value: Task = json.loads(got.body)
    return value


def test_the_task_holds_the_configuration_with_its_types(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """Long and odd values travel whole in the task, as values and as arguments, with the constants of all trials."""
    requests = make(desk, bucket, tmp_path, hyperparameters={"data": "digits", "lr": 0.5})
    long = "x" * 5_000
    requests.prepare(attempt(lr=1e-05, flags=[1, 2], text=long, minus="-1", nothing=None), "ml.g4dn.xlarge")
    told = task(bucket)
    assert told["config"] == {
        "data": "digits",
        "lr": 1e-05,
        "flags": [1, 2],
        "text": long,
        "minus": "-1",
        "nothing": None,
    }
    assert told["arguments"] == ["--data", "digits", "--lr", "1e-05", "--flags", "[1, 2]", "--text", long, "--minus=-1"]
    assert (told["trial"], told["attempt"], told["entry_point"]) == (3, 1, "train.py")
    assert (told["bucket"], told["owner"], told["prefix"]) == ("data", "123456789012", KEYS.prefix)


@pytest.mark.parametrize("has_network", [True, False])
def test_checkpoints_lie_where_the_user_has_them(desk: Desk, bucket: Bucket, tmp_path: Path, has_network: bool) -> None:
    """The script is told the folder that the job's description names, whoever keeps what is in it."""
    members: dict[str, Any] = {"checkpoint_local_path": "/opt/ml/kept", "checkpoint_s3_uri": "s3://data/kept"}
    requests = make(desk, bucket, tmp_path, enable_network_isolation=not has_network, **members)
    one = attempt(lr=0.1)
    one.use_s3 = has_network
    request = requests.prepare(one, "ml.g4dn.xlarge")
    assert task(bucket)["checkpoint_dir"] == "/opt/ml/kept"
    kept = {"S3Uri": "s3://data/kept/name-abcdef/3/", "LocalPath": "/opt/ml/kept"}
    assert request.get("CheckpointConfig") == (None if has_network else kept)


def test_the_configuration_chooses_the_machine(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """``st_instance_type`` and ``st_instance_count`` set the machine, the price, and are no arguments of the script."""
    requests = make(desk, bucket, tmp_path, fallbacks=("ml.g5.xlarge", "ml.p3.2xlarge"))
    one = attempt(lr=0.1, st_instance_type="ml.g5.xlarge", st_instance_count=2)
    assert requests.instance_types(one) == ["ml.g5.xlarge", "ml.p3.2xlarge"]
    request = requests.prepare(one, "ml.g5.xlarge")
    assert request["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert request["ResourceConfig"]["InstanceCount"] == 2
    assert one.hourly_price is not None
    told = task(bucket)
    assert told["config"] == {"lr": 0.1}
    assert float(told["environment"]["CLOUDTUNE_PRICE_PER_SECOND"]) == pytest.approx(one.hourly_price / 3600)


@pytest.mark.parametrize("config", [{"st_instance_count": "two"}, {"st_instance_type": "g5.xlarge"}])
def test_a_configuration_with_impossible_machines(
    desk: Desk, bucket: Bucket, tmp_path: Path, config: dict[str, Any]
) -> None:
    """Suggested by a scheduler past its config space: the trial's job cannot be, and the entry is named."""
    requests = make(desk, bucket, tmp_path)
    one = attempt(**config)
    requests.expect(one)
    with pytest.raises(InvalidRequest, match=next(iter(config))):
        requests.prepare(one, requests.instance_types(one)[0])


def test_each_group_of_machines_has_its_price(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """What a trial of groups of machines may cost, and the cost that the script reports, count all of them."""
    groups = [
        {"InstanceGroupName": "few", "InstanceType": "ml.p3.2xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "many", "InstanceType": "ml.m5.large", "InstanceCount": 3},
    ]
    requests = make(desk, bucket, tmp_path, instance_groups=groups)
    one = attempt()
    requests.prepare(one, "ml.p3.2xlarge")
    large, small = price_per_hour("ml.p3.2xlarge", "us-east-1"), price_per_hour("ml.m5.large", "us-east-1")
    assert large
    assert small
    hourly = one.hourly_price or 0.0
    assert hourly == pytest.approx(large + 3 * small)
    assert float(task(bucket)["environment"]["CLOUDTUNE_PRICE_PER_SECOND"]) == pytest.approx(hourly / 3600)


def test_another_machine_has_another_price(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """Where a fall-back type is taken, the script's own cost counts with that type's price."""
    requests = make(desk, bucket, tmp_path, fallbacks=("ml.g5.xlarge",))
    one = attempt(lr=0.1)
    assert requests.instance_types(one) == ["ml.g4dn.xlarge", "ml.g5.xlarge"]
    requests.prepare(one, "ml.g4dn.xlarge")
    first = task(bucket)["environment"]["CLOUDTUNE_PRICE_PER_SECOND"]
    request = requests.prepare(one, "ml.g5.xlarge")
    assert request["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert task(bucket)["environment"]["CLOUDTUNE_PRICE_PER_SECOND"] != first


def test_an_unknown_price_is_told_to_nobody_as_zero(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """A type without a known price: the script gets none, and reports no cost."""
    requests = make(desk, bucket, tmp_path)
    one = attempt()
    requests.prepare(one, "ml.x99.large")
    assert one.hourly_price is None
    assert "CLOUDTUNE_PRICE_PER_SECOND" not in task(bucket)["environment"]


def test_every_job_says_whose_it_is(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """Tags and environment name experiment, study, trial and place; the digest tells our job from a foreign one."""
    request = make(desk, bucket, tmp_path, tags={"team": "vision"}).prepare(attempt(lr=1.0), "ml.g4dn.xlarge")
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags == {
        "team": "vision",
        "cloudtune:experiment": "name",
        "cloudtune:tag": "study",
        "cloudtune:trial": "3",
        "cloudtune:place": f"s3://data/{KEYS.prefix}",
    }
    environment = request["Environment"]
    assert environment[protocol.ENV_JOB_ID] == "abcdef-3-1"
    assert environment["CLOUDTUNE_EXPERIMENT"] == "name-abcdef"
    assert len(environment[protocol.ENV_JOB_DIGEST]) == 64
    channels = {channel["ChannelName"]: channel for channel in request["InputDataConfig"]}
    assert channels["cloudtune-task"]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://data/{KEYS.task_folder(3, 1)}"


def test_jobs_without_s3_let_sagemaker_keep_checkpoints(desk: Desk, bucket: Bucket, tmp_path: Path) -> None:
    """All attempts of a trial share one prefix, so that what one saved is there for the next; others have none."""
    requests = make(desk, bucket, tmp_path)
    one = attempt(lr=1.0)
    assert "CheckpointConfig" not in requests.prepare(one, "ml.g4dn.xlarge")
    one.use_s3 = False
    request = requests.prepare(one, "ml.g4dn.xlarge")
    assert request["CheckpointConfig"]["S3Uri"] == f"s3://data/{KEYS.synced(3)}"
    assert task(bucket)["use_s3"] is False
