"""Classes that look like those of AWS's SDKs, for tests of how they are told and read; tests/sdk has the real ones."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from types import SimpleNamespace
from typing import Any

from tests.aws.job_fields import IMAGE, ROLE


def _named(module: str, name: str) -> Callable[[type], type]:
    def rename(made: type) -> type:
        made.__module__, made.__qualname__, made.__name__ = module, name, name
        return made

    return rename


@_named("sagemaker.estimator", "EstimatorBase")
class EstimatorBase:
    """Of the SDK v2, as far as a template asks for it."""

    def __init__(self, client: Any = None, **fields: Any) -> None:
        self.sagemaker_session = SimpleNamespace(
            sagemaker_client=client,
            boto_session=SimpleNamespace(region_name="us-east-1", profile_name="team"),
            local_mode=False,
            _default_bucket_name_override=None,
        )
        given = {
            "instance_type": "ml.g4dn.xlarge",
            "entry_point": "train.py",
            "source_dir": "src",
            "dependencies": [],
            "role": ROLE,
            "output_path": None,
            "image_uri": IMAGE,
            "distribution": None,
            "_hyperparameters": {"lr": 0.5},
            "use_spot_instances": False,
            **fields,
        }
        self.__dict__.update(given)

    def fit(self, inputs: Any, wait: bool, logs: str, job_name: str) -> None:
        """Sends a request as the SDK does, and fills its own members in place."""
        assert not wait
        self._hyperparameters["sagemaker_program"] = '"train.py"'
        channels = [
            {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
            for name, uri in (inputs or {}).items()
        ]
        self.sagemaker_session.sagemaker_client.create_training_job(
            TrainingJobName=job_name,
            RoleArn=self.role,
            AlgorithmSpecification={"TrainingImage": self.image_uri, "TrainingInputMode": "File"},
            HyperParameters={name: str(value) for name, value in self._hyperparameters.items()},
            OutputDataConfig={"S3OutputPath": self.output_path},
            ResourceConfig={"InstanceType": self.instance_type, "InstanceCount": 1, "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
            EnableManagedSpotTraining=self.use_spot_instances,
            **({"InputDataConfig": channels} if channels else {}),
        )

    def training_image_uri(self) -> str:
        return str(self.image_uri)

    role: str
    image_uri: str
    output_path: str
    instance_type: str
    use_spot_instances: bool
    _hyperparameters: dict[str, Any]


class PyTorch(EstimatorBase):
    """A user's subclass."""


class Mode(Enum):
    """Of a ModelTrainer."""

    SAGEMAKER_TRAINING_JOB = 1
    LOCAL_CONTAINER = 2


@_named("sagemaker.train.model_trainer", "ModelTrainer")
class ModelTrainer:
    """Of the SDK v3, as far as a template asks for it."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(
            {
                "training_mode": Mode.SAGEMAKER_TRAINING_JOB,
                "sagemaker_session": SimpleNamespace(boto_session=None),
                "source_code": SimpleNamespace(
                    source_dir="src", entry_script="train.py", command=None, requirements=None
                ),
                "distributed": None,
                "checkpoint_config": None,
                "compute": None,
                "environment": {},
                "hyperparameters": {"lr": 0.5},
                "input_data_config": None,
                "networking": None,
                "output_data_config": None,
                "stopping_condition": None,
                "tags": None,
                "role": ROLE,
                "training_image": IMAGE,
                **fields,
            }
        )
        self._temp_recipe_train_dir = self._temp_code_dir = self._tensorboard_output_config = None

    def model_copy(self, update: dict[str, Any]) -> ModelTrainer:
        made = ModelTrainer()
        made.__dict__.update({**self.__dict__, **update})
        return made

    def _create_training_job_args(self, input_data_config: Any = None, boto3: bool = False) -> dict[str, Any]:
        assert boto3
        channels = None if self.source_code is None else [{"ChannelName": "code"}, {"ChannelName": "sm_drivers"}]
        return {
            "TrainingJobName": "trial-20261121",
            "RoleArn": self.role,
            "AlgorithmSpecification": {
                "TrainingImage": self.training_image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": None if self.source_code is None else ["/bin/bash"],
            },
            "HyperParameters": {"lr": "0.5"},
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        }

    source_code: Any
    role: str
    training_image: str
