"""Makes job templates of ModelTrainers of the SageMaker SDK v3; run by the interpreter that has that SDK.

Prints one line of JSON per trainer: the template with our agent where there can be one, that with the SDK's own
launcher, and what ``train`` sends, which is kept from SageMaker. Nothing may leave the machine meanwhile.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
import no_way_out  # type: ignore[import-not-found] # it stands beside this program
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Base
from sagemaker.core.shapes import InfraCheckConfig, RemoteDebugConfig, TensorBoardOutputConfig
from sagemaker.core.training.configs import (
    Channel,
    CheckpointConfig,
    Compute,
    DataSource,
    InputData,
    InstanceGroup,
    MetricDefinition,
    Networking,
    OutputDataConfig,
    RetryStrategy,
    S3DataSource,
    SourceCode,
    StoppingCondition,
    Tag,
)
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import MPI, Torchrun
from sagemaker.train.model_trainer import Mode

from cloudtune.aws.job_template import template_of

bucket, source, *wanted = sys.argv[1:]  # wanted: names of cases; none: all
ROLE = "arn:aws:iam::123456789012:role/cloudtune-local-role"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10-gpu-py313"
no_way_out.close()
session = Session(boto_session=boto3.Session(), default_bucket=bucket)


class NotSent(Exception):
    pass


def sent_by_train(trainer: ModelTrainer, inputs: Any) -> dict[str, Any]:
    """The SDK's own request, source and launcher uploaded and all."""
    seen: list[dict[str, Any]] = []

    def keep(params: dict[str, Any], **_: Any) -> None:
        seen.append(params)
        raise NotSent

    client = Base.get_sagemaker_client(session=trainer.sagemaker_session.boto_session)
    client.meta.events.register("provide-client-params.sagemaker.CreateTrainingJob", keep)
    try:
        trainer.train(input_data_config=inputs, wait=False, logs=False)
    except NotSent:
        pass
    finally:
        client.meta.events.unregister("provide-client-params.sagemaker.CreateTrainingJob", keep)
    return seen[0]


def state(trainer: ModelTrainer) -> str:
    """All that a trainer holds and the SDK may change, as text: what is not set has no equality."""
    return str({name: str(value) for name, value in vars(trainer).items() if name != "sagemaker_session"})


def templates(trainer: ModelTrainer, inputs: Any) -> dict[str, Any]:
    return {
        name: dataclasses.asdict(template_of(trainer, inputs, asked))
        for name, asked in (("by_default", None), ("own_entry", True))
    }


cases: list[tuple[str, ModelTrainer, Any]] = []


def tell(case: str, trainer: ModelTrainer, inputs: Any = None) -> None:
    if case in wanted or not wanted:
        cases.append((case, trainer, inputs))


def both_ways(case: str, trainer: ModelTrainer, inputs: Any) -> dict[str, Any]:
    before = state(trainer)
    made = templates(trainer, inputs)
    inner = ModelTrainer._create_training_job_args

    def of_an_old_version(self: ModelTrainer, input_data_config: Any = None) -> Any:
        return inner(self, input_data_config)

    ModelTrainer._create_training_job_args = of_an_old_version
    made.update({f"{name}_by_public_face": one for name, one in templates(trainer, inputs).items()})
    ModelTrainer._create_training_job_args = inner
    assert state(trainer) == before, case
    return made


def refused(case: str, make: Callable[[], Any]) -> None:
    try:
        template_of(make())
    except ValueError as error:
        print("RESULT " + json.dumps({"case": case, "error": str(error)}), flush=True)


common: dict[str, Any] = {"training_image": IMAGE, "role": ROLE, "sagemaker_session": session, "base_job_name": "trial"}
code = SourceCode(source_dir=source, entry_script="train.py")
place = S3DataSource(s3_data_type="S3Prefix", s3_uri=f"s3://{bucket}/test", s3_data_distribution_type="ShardedByS3Key")

everything = ModelTrainer(
    **common,
    source_code=code,
    compute=Compute(
        instance_type="ml.g4dn.xlarge",
        instance_count=1,
        volume_size_in_gb=77,
        volume_kms_key_id="volume-key",
        enable_managed_spot_training=True,
    ),
    networking=Networking(
        subnets=["subnet-1"], security_group_ids=["sg-1"], enable_inter_container_traffic_encryption=True
    ),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600, max_wait_time_in_seconds=700),
    hyperparameters={"lr": 0.5, "name": "sgd", "layers": [1, 2]},
    environment={"A": "b"},
    tags=[Tag(key="team", value="a")],
    checkpoint_config=CheckpointConfig(s3_uri=f"s3://{bucket}/checkpoints", local_path="/opt/ml/kept"),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/out", kms_key_id="output-key"),
    training_input_mode="FastFile",
    input_data_config=[
        InputData(channel_name="train", data_source=f"s3://{bucket}/train"),
        Channel(channel_name="test", data_source=DataSource(s3_data_source=place), content_type="text/csv"),
    ],
)
everything.with_metric_definitions([MetricDefinition(name="loss", regex="loss=([0-9.]+);")])
everything.with_retry_strategy(RetryStrategy(maximum_retry_attempts=3))
everything.with_remote_debug_config(RemoteDebugConfig(enable_remote_debug=True))
everything.with_infra_check_config(InfraCheckConfig(enable_infra_check=True))
everything.with_tensorboard_output_config(TensorBoardOutputConfig(s3_output_path=f"s3://{bucket}/tensorboard"))

tell("everything", everything, [InputData(channel_name="more", data_source=f"s3://{bucket}/more")])
tell("little", ModelTrainer(**common, source_code=code))
tell(
    "isolated",
    ModelTrainer(**common, source_code=code, networking=Networking(enable_network_isolation=True)),
)
tell(
    "warm",
    ModelTrainer(
        **common, source_code=code, compute=Compute(instance_type="ml.g5.xlarge", keep_alive_period_in_seconds=600)
    ),
)
tell("torchrun", ModelTrainer(**common, source_code=code, distributed=Torchrun(process_count_per_node=2)))
tell("mpi", ModelTrainer(**common, source_code=code, distributed=MPI(process_count_per_node=2)))
tell("command", ModelTrainer(**common, source_code=SourceCode(source_dir=source, command="python train.py --epochs 1")))
tell("no_source", ModelTrainer(**common, hyperparameters={"lr": 1}))
tell(
    "groups",
    ModelTrainer(
        **common,
        source_code=code,
        compute=Compute(
            instance_groups=[
                InstanceGroup(instance_group_name="a", instance_type="ml.m5.large", instance_count=1),
                InstanceGroup(instance_group_name="b", instance_type="ml.g5.xlarge", instance_count=2),
            ]
        ),
    ),
)
refused("local", lambda: ModelTrainer(**common, source_code=code, training_mode=Mode.LOCAL_CONTAINER))

no_way_out.forget()  # what the constructors have tried
told = [{"case": case, **both_ways(case, trainer, inputs)} for case, trainer, inputs in cases]
no_way_out.check_untried()
for answer, (_, trainer, inputs) in zip(told, cases, strict=True):
    print("RESULT " + json.dumps({**answer, "fit": sent_by_train(trainer, inputs)}), flush=True)
