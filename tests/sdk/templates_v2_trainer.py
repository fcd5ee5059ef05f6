"""Makes job templates of the ModelTrainer that late versions of the SageMaker SDK 2 have; run with such a version.

Prints one line of JSON: the templates with our agent and with the SDK's launcher.
"""

from __future__ import annotations

import dataclasses
import json
import sys

import boto3
from sagemaker.modules import Session
from sagemaker.modules.configs import Compute, SourceCode, StoppingCondition, Tag
from sagemaker.modules.train import ModelTrainer

from cloudtune.aws.job_template import template_of

bucket, source = sys.argv[1:]
trainer = ModelTrainer(
    training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8-gpu-py312",
    role="arn:aws:iam::123456789012:role/cloudtune-local-role",
    sagemaker_session=Session(boto_session=boto3.Session(), default_bucket=bucket),
    base_job_name="trial",
    source_code=SourceCode(source_dir=source, entry_script="train.py"),
    hyperparameters={"lr": 0.5},
    compute=Compute(instance_type="ml.g4dn.xlarge", instance_count=1, keep_alive_period_in_seconds=600),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
    tags=[Tag(key="team", value="a")],
    environment={"A": "b"},
)
told = {
    name: dataclasses.asdict(template_of(trainer, {"train": f"s3://{bucket}/train"}, asked))
    for name, asked in (("by_default", None), ("own_entry", True))
}
print("RESULT " + json.dumps({"case": "trainer", **told}))
