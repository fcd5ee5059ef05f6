"""TrainingJob answers each mistake with one sentence, and becomes plain data."""

from __future__ import annotations

import inspect
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.job_template import JobTemplate, TrainingJob, template_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a script in a folder of it."""
    folder = tmp_path / "src"
    (folder / "inner").mkdir(parents=True)
    (folder / "train.py").write_text("pass\n", encoding="utf-8")
    (folder / "inner" / "deep.sh").write_text("true\n", encoding="utf-8")
    (tmp_path / "lib").mkdir()
    (tmp_path / "outside.py").write_text("pass\n", encoding="utf-8")
    return folder


CHANNEL_WITHOUT_SOURCE = {"ContentType": "text/csv"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"entry_point": "missing.py"}, "'missing.py' is no file in source_dir"),
        ({"entry_point": "../outside.py"}, "is no file in source_dir"),
        ({"entry_point": "inner"}, "is no file in source_dir"),
        ({"entry_point": "s3://b/train.py"}, "download it first"),
        ({"entry_point": None}, "entry_point must be a path"),
        ({"source_dir": "nowhere"}, "there is no folder"),
        ({"source_dir": None, "entry_point": "nowhere.py"}, "there is no file"),
        ({"dependencies": ["nowhere"]}, "named in dependencies"),
        ({"dependencies": "lib"}, r"a list of paths, got 'lib'; write \['lib'\]"),
        ({"instance_type": "g4dn.xlarge"}, "did you mean 'ml.g4dn.xlarge'"),
        ({"instance_type": "ml.g4dn"}, "looks like 'ml.g4dn.xlarge'"),
        ({"instance_type": 4}, "looks like 'ml.g4dn.xlarge', not like 4"),
        ({"instance_count": 0}, "instance_count must be a whole number, at least 1, got 0"),
        ({"instance_count": True}, "instance_count must be a whole number"),
        ({"max_run": 1.5}, "max_run must be a whole number"),
        ({"max_retries": 31}, "max_retries must be a whole number, 0 to 30"),
        ({"keep_alive_period": 21_601}, "0 to 21600"),
        ({"volume_size": -1}, "volume_size"),
        ({"use_spot": True, "keep_alive_period": 60}, "use_spot and keep_alive_period exclude each other"),
        ({"max_wait": 99_999}, "drop it, or set use_spot=True"),
        ({"use_spot": True, "max_run": 100, "max_wait": 99}, r"max_wait \(99 s\) must be at least max_run \(100 s\)"),
        ({"output_path": "bucket/out"}, "output_path must look like 's3://bucket/prefix'"),
        ({"checkpoint_s3_uri": "s3:///x"}, "checkpoint_s3_uri must look like"),
        ({"checkpoint_local_path": "ckpt"}, "absolute path in the job"),
        ({"tags": [{"Key": "a", "Value": "b"}]}, "tags must be a mapping, such as {'team': 'vision'}, got"),
        ({"environment": ["A=1"]}, "environment must be a mapping"),
        ({"hyperparameters": "lr"}, "hyperparameters must be a mapping"),
        ({"extra": ["x"]}, "extra must be a mapping"),
        ({"metric_definitions": {"Name": "a", "Regex": "b"}}, "metric_definitions are a list of mappings"),
        ({"metric_definitions": ["loss"]}, "metric_definitions are a list of mappings"),
        ({"use_spot": "no"}, "use_spot must be True or False, got 'no'"),
        ({"keep_own_entry": None}, "keep_own_entry must be True or False, got None"),
        ({"subnets": ["subnet-1"]}, "only work together"),
        ({"subnets": "subnet-1", "security_group_ids": "sg-1"}, "are a list of ids"),
        ({"inputs": {"train": "/data"}}, "channel 'train' must look like 's3://bucket/prefix'"),
        ({"inputs": {"train": CHANNEL_WITHOUT_SOURCE}}, "a mapping with a DataSource"),
        ({"inputs": {"train": {"DataSource": {}, "ChannelName": "test"}}}, "calls itself 'test'"),
        ({"inputs": {"cloudtune": "s3://b/d"}}, "one of cloudtune's own"),
        ({"inputs": {"cloudtune-task": "s3://b/d"}}, "one of cloudtune's own"),
        ({"inputs": {"tr ain": "s3://b/d"}}, "letters, digits, dots"),
        ({"inputs": "s3://b/d"}, "inputs map the names of channels"),
        ({"environment": {"a-b": "1"}}, "'a-b' must be named with letters"),
        ({"environment": {"A": 1}}, "'A' must be a string, got 1"),
        ({"tags": {"a": "b?"}}, r"'a' holds '\?'"),
        ({"tags": {"aws:a": "b"}}, "only AWS may use"),
        ({"tags": {"a": 1}}, "'a' must be a string, got 1"),
        ({"metric_definitions": [{"Name": "a"}]}, "a Name and a Regex"),
        ({"metric_definitions": [{"Name": "a", "Regex": "x" * 501}]}, "regular expression of 501"),
        ({"framework": "tensorflow"}, "needs a framework_version"),
        ({"instance_groups": [{"InstanceType": "ml.m5.large"}]}, "InstanceGroupName, InstanceType and InstanceCount"),
        ({"extra": {"TrainingJobName": "x"}}, "drop TrainingJobName"),
        ({"extra": {"RoleArn": "x"}}, "use role"),
        (
            {"extra": {"ResourceConfig": {"InstanceType": "ml.m5.large"}}},
            r"extra\['ResourceConfig'\] sets InstanceType",
        ),
        ({"extra": {"AlgorithmSpecification": {"ContainerEntrypoint": ["x"]}}}, "how cloudtune starts the script"),
    ],
)
def test_each_mistake_is_told_in_one_sentence(source: Path, fields: dict[str, Any], message: str) -> None:
    """At once, not by AWS minutes later, and the sentence names the field."""
    with pytest.raises(ValueError, match=message) as caught:
        TrainingJob(**{"entry_point": "train.py", "source_dir": source, **fields})
    assert "\n" not in str(caught.value)


def test_a_misspelt_field_is_answered_with_the_right_one() -> None:
    """The close name if there is one, else all of them."""
    with pytest.raises(TypeError, match="no field 'instance_typ'; did you mean 'instance_type'"):
        TrainingJob("train.py", instance_typ="ml.m5.large")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"no field 'zzz'; it has entry_point, source_dir"):
        TrainingJob("train.py", zzz=1)  # type: ignore[call-arg]
    assert "instance_type" in inspect.signature(TrainingJob).parameters


@pytest.mark.defect("C21")
@pytest.mark.parametrize("instance_type", ["local", "local_gpu"])
def test_local_mode_is_answered_with_what_trains_locally(source: Path, instance_type: str) -> None:
    """The predecessor handed AWS's local mode a checkpoint address that it rejects."""
    with pytest.raises(ValueError, match=r"use LocalBackend .* or `cloudtune localcloud run`"):
        TrainingJob("train.py", source_dir=source, instance_type=instance_type)


def test_a_template_is_plain_data(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be pickled and logged, its paths are absolute, and it shares nothing with the description."""
    monkeypatch.chdir(tmp_path)
    environment = {"A": "1"}
    job = TrainingJob(
        "inner/deep.sh",
        source_dir="src",
        dependencies=["lib"],
        environment=environment,
        hyperparameters={"epochs": 3},
        role="my-role",
    )
    template = template_of(job)
    environment["A"] = "2"
    assert json.loads(json.dumps(template.request)) == template.request
    assert pickle.loads(pickle.dumps(template)) == template
    assert pickle.loads(pickle.dumps(job)) == job
    assert template.request["Environment"] == {"A": "1"}
    assert (template.source_dir, template.entry_point, template.script) == (str(source), *["inner/deep.sh"] * 2)
    assert template.dependencies == (str(tmp_path / "lib"),)
    assert (template.hyperparameters, template.role, template.keep_own_entry) == ({"epochs": 3}, "my-role", False)
    assert template_of(template) is template


def test_an_entry_point_may_be_absolute_or_stand_alone(source: Path) -> None:
    """In the archive it has the path that the agent looks for."""
    absolute = template_of(TrainingJob(source / "inner" / "deep.sh", source_dir=source))
    assert (absolute.entry_point, absolute.script) == ("inner/deep.sh", "inner/deep.sh")
    alone = template_of(TrainingJob(source / "train.py"))
    assert (alone.source_dir, alone.entry_point, alone.script) == (None, str(source / "train.py"), "train.py")


def test_what_the_backend_asks_of_a_template(source: Path) -> None:
    """Facts that decide how trials are run."""
    spot = template_of(TrainingJob(source / "train.py", use_spot=True, enable_network_isolation=True, max_run=60))
    assert (spot.is_spot, spot.has_network, spot.max_run, spot.keep_alive_period) == (True, False, 60, 0)
    warm = template_of(TrainingJob(source / "train.py", keep_alive_period=600, instance_count=2))
    assert (warm.is_spot, warm.has_network, warm.keep_alive_period, warm.instance_count) == (False, True, 600, 2)
    groups = [
        {"InstanceGroupName": name, "InstanceType": f"ml.{name}.xlarge", "InstanceCount": 2} for name in ("m5", "g5")
    ]
    many = template_of(TrainingJob(source / "train.py", instance_groups=groups))
    assert (many.instance_type, many.instance_count) == ("ml.m5.xlarge", 4)


def test_inputs_and_own_entry_may_come_later(source: Path) -> None:
    """As users of Estimators give inputs to fit; they are checked like the others."""
    job = TrainingJob(source / "train.py", inputs={"train": "s3://b/train"})
    template = template_of(job, {"test": "s3://b/test"})
    assert [channel["ChannelName"] for channel in template.request["InputDataConfig"]] == ["train", "test"]
    assert template_of(job, "s3://b/d").request["InputDataConfig"][1]["ChannelName"] == "training"
    with pytest.raises(ValueError, match="cloudtune's own"):
        template_of(job, {"cloudtune": "s3://b/d"})
    assert template_of(job, keep_own_entry=True).keep_own_entry
    with pytest.raises(ValueError, match="taken as it is"):
        template_of(template, keep_own_entry=True)


def test_own_entry_tells_awss_toolkit_where_the_source_is(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As the SDK v2 does, JSON in each value; and the log says what is lost without the agent."""
    caplog.set_level(logging.INFO)
    template = template_of(TrainingJob("train.py", source, keep_own_entry=True, hyperparameters={"a": "b"}))
    told = template.request["HyperParameters"]
    assert json.loads(told["sagemaker_program"]) == "train.py"
    assert json.loads(told["sagemaker_submit_directory"]).endswith("/sourcedir.tar.gz")
    assert told["a"] == '"b"'
    assert template.needs_source
    assert "only max_run ends a job whose tuner is gone" in caplog.text
    alone = template_of(TrainingJob("train.py", source, keep_own_entry=True, enable_network_isolation=True))
    assert [channel["ChannelName"] for channel in alone.request["InputDataConfig"]] == ["code"]
    assert json.loads(alone.request["HyperParameters"]["sagemaker_submit_directory"]).startswith("/opt/ml/input/data/")


@pytest.mark.parametrize("given", [None, "train.py", {"entry_point": "train.py"}, object()])
def test_what_describes_no_job_is_told(given: object) -> None:
    """The message names the three things that do."""
    with pytest.raises(TypeError, match="give a TrainingJob"):
        template_of(given)


def test_a_template_refuses_what_is_no_data() -> None:
    """Variables of a pipeline, for instance, are known only when it runs."""
    with pytest.raises(ValueError, match=r"RoleArn of PyTorch holds something that is no plain data"):
        JobTemplate(origin="PyTorch", request={"RoleArn": object()})
    with pytest.raises(ValueError, match="lr of PyTorch"):
        JobTemplate(origin="PyTorch", request={}, hyperparameters={"lr": object()})


def test_the_public_name_is_where_the_documentation_says() -> None:
    """Users import TrainingJob from the backend."""
    from cloudtune.backend import sagemaker_backend

    assert sagemaker_backend.TrainingJob is TrainingJob
