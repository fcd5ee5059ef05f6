"""Objects of AWS's SDKs are told by where their classes come from, and read without changing them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudtune.aws.job_template import OUTPUT_TO_COME, is_estimator, is_model_trainer, template_of
from cloudtune.aws.sdk_capture import captured_request
from cloudtune.aws.sdk_v2 import distributions
from cloudtune.localcloud import InProcessCloud
from tests.aws.job_fields import IMAGE, ROLE
from tests.aws.sdk_stand_ins import EstimatorBase, Mode, ModelTrainer, PyTorch


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``src/train.py`` in the current folder."""
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "train.py").write_text("pass\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


class EstimatorBaseOfOurs:
    """Has the name, nearly, and not the module."""


def test_classes_are_told_by_their_module_and_name() -> None:
    """Whatever the user derives from them; neither SDK has to be installed, nor is it imported."""
    assert is_estimator(PyTorch())
    assert not is_model_trainer(PyTorch())
    assert is_model_trainer(ModelTrainer())
    assert not is_estimator(ModelTrainer())
    assert not is_estimator(EstimatorBaseOfOurs())
    assert not is_estimator(PyTorch)


def test_an_estimator_becomes_a_template(source: Path, in_process_cloud: InProcessCloud) -> None:
    """Its request is caught before it is sent; the Estimator is as before, and no job was created."""
    estimator = PyTorch(in_process_cloud.client("sagemaker"), dependencies=["lib"])
    made = template_of(estimator, {"train": "s3://b/d"})
    assert in_process_cloud.call_counts().get("sagemaker:CreateTrainingJob", 0) == 0
    assert estimator._hyperparameters == {"lr": 0.5}
    assert (estimator.entry_point, estimator.source_dir) == ("train.py", "src")  # type: ignore[attr-defined]
    assert made.request == {
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": OUTPUT_TO_COME},
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "EnableManagedSpotTraining": False,
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/d"}}}
        ],
    }
    assert (made.source_dir, made.entry_point, made.dependencies) == (
        str(source),
        "train.py",
        (os.path.abspath("lib"),),
    )
    assert (made.hyperparameters, made.role, made.images) == ({"lr": 0.5}, ROLE, {"*": IMAGE})
    assert (made.region, made.profile) == ("us-east-1", "team")


def test_spot_without_a_limit_of_waiting_gets_one(source: Path, in_process_cloud: InProcessCloud) -> None:
    """AWS refuses spot jobs without one; SDK v2 does not ask for it."""
    estimator = PyTorch(in_process_cloud.client("sagemaker"), use_spot_instances=True)
    assert template_of(estimator).request["StoppingCondition"]["MaxWaitTimeInSeconds"] == 600 + 86_400


@pytest.mark.defect("C21")
@pytest.mark.parametrize("instance_type", ["local", "local_gpu"])
def test_local_mode_of_sdk_v2_is_answered(instance_type: str) -> None:
    """By its instance type or its session; not by an error of the SDK about checkpoints."""
    with pytest.raises(ValueError, match="use LocalBackend"):
        template_of(PyTorch(instance_type=instance_type))
    local = PyTorch()
    local.sagemaker_session.local_mode = True
    with pytest.raises(ValueError, match="use LocalBackend"):
        template_of(local)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, ()),
        ({}, ()),
        ({"torch_distributed": {"enabled": True}}, ("torch_distributed",)),
        ({"torch_distributed": {"enabled": False}}, ()),
        ({"mpi": {"enabled": True, "processes_per_host": 8}}, ("mpi",)),
        ({"smdistributed": {"dataparallel": {"enabled": True}}}, ("smdistributed",)),
        ({"smdistributed": {"modelparallel": {"enabled": False}}}, ()),
        ({"parameter_server": {"enabled": True}, "instance_groups": ["a"]}, ("parameter_server",)),
    ],
)
def test_distributions_of_sdk_v2_are_known(given: Any, found: tuple[str, ...]) -> None:
    """Enabled ones only, however deep the switch lies."""
    assert distributions(SimpleNamespace(distribution=given)) == found


def test_a_distributed_estimator_keeps_its_own_entry(
    source: Path, in_process_cloud: InProcessCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why and what is lost; who insists on the agent is told that it cannot be."""
    caplog.set_level(logging.INFO)
    estimator = PyTorch(in_process_cloud.client("sagemaker"), distribution={"mpi": {"enabled": True}})
    made = template_of(estimator)
    assert (made.keep_own_entry, made.distributed) == (True, ("mpi",))
    assert made.request["HyperParameters"] == {"lr": "0.5", "sagemaker_program": '"train.py"'}
    assert "it is distributed by mpi" in caplog.text
    assert "a stop takes up to minutes" in caplog.text
    with pytest.raises(ValueError, match="needs its image's own entry, for it is distributed by mpi"):
        template_of(estimator, keep_own_entry=False)


def test_channels_of_ours_are_refused_in_an_estimator(source: Path, in_process_cloud: InProcessCloud) -> None:
    """They would hide the agent or the task."""
    with pytest.raises(ValueError, match="'cloudtune-task' is one of cloudtune's own"):
        template_of(PyTorch(in_process_cloud.client("sagemaker")), {"cloudtune-task": "s3://b/d"})


def test_a_pipelines_session_is_refused() -> None:
    """It collects steps and starts no job."""
    estimator = PyTorch()
    estimator.sagemaker_session = type("PipelineSession", (), {})()
    with pytest.raises(ValueError, match="starts no jobs"):
        template_of(estimator)
    with pytest.raises(ValueError, match="starts no jobs"):
        template_of(ModelTrainer(sagemaker_session=estimator.sagemaker_session))


def test_a_model_trainer_becomes_a_template(source: Path) -> None:
    """Without its source no launcher is uploaded; our packing takes the source."""
    trainer = ModelTrainer()
    made = template_of(trainer)
    assert made.request == {
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    assert (made.source_dir, made.entry_point, made.hyperparameters) == (str(source), "train.py", {"lr": 0.5})
    assert (made.form, made.is_uploaded, made.keep_own_entry) == ("json_but_strings", False, False)
    assert trainer.source_code is not None
    own = template_of(trainer, keep_own_entry=True)
    assert own.request["AlgorithmSpecification"]["ContainerEntrypoint"] == ["/bin/bash"]
    assert (own.is_uploaded, own.needs_source, own.source_dir) == (True, False, str(source))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"distributed": SimpleNamespace()}, "it is distributed by SimpleNamespace"),
        ({"source_code": None}, "it has no source_code"),
        ({"source_code": {"command": "make", "entry_script": None}}, "its source_code has no entry_script"),
        ({"source_code": {"command": "make"}}, "its source_code has a command"),
        ({"source_code": {"requirements": "gpu/needs.txt"}}, "its requirements are in 'gpu/needs.txt'"),
        ({"source_code": {"source_dir": "s3://b/src"}}, "its source_dir 's3://b/src' is no folder of this machine"),
    ],
)
def test_trainers_that_only_the_sdks_launcher_can_start_keep_it(source: Path, fields: dict[str, Any], why: str) -> None:
    """Our agent would start something else than the user has described."""
    code = fields.get("source_code")
    if isinstance(code, dict):
        fields = {"source_code": SimpleNamespace(**{**vars(ModelTrainer().source_code), **code})}
    made = template_of(ModelTrainer(**fields))
    assert made.keep_own_entry
    assert made.why_own_entry.startswith(why)


def test_local_mode_of_sdk_v3_is_answered() -> None:
    """Like that of SDK v2."""
    with pytest.raises(ValueError, match="use LocalBackend"):
        template_of(ModelTrainer(training_mode=Mode.LOCAL_CONTAINER))


def test_a_captured_request_is_not_sent_and_later_ones_are(in_process_cloud: InProcessCloud) -> None:
    """What keeps it from being sent is gone afterwards, also after an error."""
    client = in_process_cloud.client("sagemaker")
    in_process_cloud.client("s3").create_bucket(Bucket="bucket")
    estimator = EstimatorBase(client, output_path="s3://bucket/out")

    def start(name: str) -> None:
        estimator.fit(None, False, "None", name)

    assert captured_request(client, lambda: start("first"))["TrainingJobName"] == "first"
    with pytest.raises(ZeroDivisionError):
        captured_request(client, lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="started no training job"):
        captured_request(client, lambda: None)
    assert in_process_cloud.jobs() == []
    start("second")
    assert [job.name for job in in_process_cloud.jobs()] == ["second"]
