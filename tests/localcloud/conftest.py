"""What all tests of the local cloud share. The fixtures ``local_cloud`` and ``faults`` are those that users get."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from cloudtune.localcloud import LocalCloud

BUCKET = "data"
ROLE = "arn:aws:iam::123456789012:role/trainer"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def wait_until(happened: Callable[[], object], what: str = "", timeout: float = 60.0) -> None:
    """Returns once ``happened`` is true; fails after ``timeout`` seconds, naming ``what`` it waited for."""
    until = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < until, f"in vain waited for: {what or happened}"
        time.sleep(0.01)


class Trainer:
    """Creates training jobs whose script comes by an input channel, as boto3 alone can do it."""

    def __init__(self, cloud: Any) -> None:
        self.s3 = cloud.client("s3")
        self.sagemaker = cloud.client("sagemaker")
        self.logs = cloud.client("logs")
        if BUCKET not in [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]:
            self.s3.create_bucket(Bucket=BUCKET)

    def create(self, name: str, script: str = "", **request: Any) -> None:
        """Creates a job that runs a Python script; members of ``request`` are added, or replace ours."""
        self.s3.put_object(Bucket=BUCKET, Key=f"code/{name}/train.py", Body=script.encode())
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/{name}/"}
        self.sagemaker.create_training_job(
            **{
                "TrainingJobName": name,
                "RoleArn": ROLE,
                "AlgorithmSpecification": {
                    "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
                    "TrainingInputMode": "File",
                    "ContainerEntrypoint": ["python", "/opt/ml/input/data/code/train.py"],
                },
                "InputDataConfig": [{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
                **request,
            }
        )

    def describe(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return answer

    def lines(self, name: str) -> list[str]:
        """What the job has written so far."""
        found: list[str] = []
        try:
            streams = self.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        for stream in streams["logStreams"]:
            events = self.logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True
            )
            found += [event["message"] for event in events["events"]]
        return found

    def wait_for_line(self, name: str, line: str) -> None:
        """Returns once the job has written a line that begins so."""
        wait_until(lambda: any(one.startswith(line) for one in self.lines(name)), f"{line!r} from {name}")

    def body(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content


@pytest.fixture
def trainer(local_cloud: LocalCloud) -> Trainer:
    return Trainer(local_cloud)
