"""Trains with an Estimator of the SageMaker SDK v2, script mode; run by the interpreter that has that SDK.

Prints one line of JSON per job: its name and how ``fit`` ended.
"""

from __future__ import annotations

import json
import sys

import boto3
import sagemaker
from sagemaker.estimator import Estimator

bucket, source = sys.argv[1:]
boto_session = boto3.Session()
# Without default_bucket the SDK asks the STS of the real AWS, whatever the endpoint is.
session = sagemaker.Session(boto_session=boto_session, default_bucket=bucket)
for epochs, fail in ((2, 0), (4, 0), (4, 7)):
    estimator = Estimator(
        image_uri="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8-gpu-py312",
        role="arn:aws:iam::123456789012:role/cloudtune-local-role",
        instance_count=1,
        instance_type="ml.g4dn.xlarge",
        entry_point="train.py",
        source_dir=source,
        base_job_name="sdk-v2",
        hyperparameters={"lr": 0.5, "epochs": epochs, "fail": fail},
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
        checkpoint_s3_uri=f"s3://{bucket}/checkpoints-v2",
        max_run=600,
        sagemaker_session=session,
    )
    try:
        estimator.fit(wait=True, logs="All")
        outcome = "fitted"
    except sagemaker.exceptions.UnexpectedStatusException as error:
        outcome = str(error)
    print("RESULT " + json.dumps({"job": estimator.latest_training_job.name, "outcome": outcome}), flush=True)
