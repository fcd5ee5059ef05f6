"""Trains with a ModelTrainer of the SageMaker SDK v3; run by the interpreter that has that SDK.

Prints one line of JSON per job: its name and how ``train`` ended.
"""

from __future__ import annotations

import json
import sys

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import CheckpointConfig, Compute, OutputDataConfig, SourceCode, StoppingCondition

bucket, source = sys.argv[1:]
# Without default_bucket the SDK asks the STS of the real AWS, whatever the endpoint is.
session = Session(boto_session=boto3.Session(), default_bucket=bucket)
for number, (epochs, fail) in enumerate(((2, 0), (4, 0), (4, 7))):
    trainer = ModelTrainer(
        training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10-gpu-py313",
        role="arn:aws:iam::123456789012:role/cloudtune-local-role",
        sagemaker_session=session,
        # The SDK tells jobs apart by the second in which they were named.
        base_job_name=f"sdk-v3-{number}",
        source_code=SourceCode(source_dir=source, entry_script="train.py"),
        compute=Compute(instance_type="ml.g4dn.xlarge", instance_count=1, volume_size_in_gb=1),
        hyperparameters={"lr": 0.5, "epochs": epochs, "fail": fail},
        checkpoint_config=CheckpointConfig(s3_uri=f"s3://{bucket}/checkpoints-v3"),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/out"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
    )
    try:
        trainer.train(wait=True, logs=True)
        outcome = "trained"
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of a failed job is the result
        outcome = f"{type(error).__name__}: {error}"
    # Its name is what the SDK keeps of the job in a private member.
    print(
        "RESULT " + json.dumps({"job": trainer._latest_training_job.training_job_name, "outcome": outcome}), flush=True
    )
