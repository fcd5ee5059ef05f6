"""SageMaker's operations on as much of a platform as they need, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from moto import mock_aws

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.clock import CloudClock
from cloudtune.localcloud.jobs.registry import JobRegistry
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.services.quotas import Quotas
from cloudtune.localcloud.services.sagemaker import OPERATIONS
from cloudtune.localcloud.settings import CloudSettings

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

CALLER = Caller("123456789012", "us-east-1")


def training_request(name: str = "job", **changes: Any) -> dict[str, Any]:
    """A request that AWS would take; a change to None leaves a member out."""
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/cloudtune",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changes,
    }
    return {member: value for member, value in request.items() if value is not None}


class HandClock(CloudClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def elapsed(self) -> float:
        return self.passed


class SmallSagemaker:
    """What ``Platform`` is to the operations under test."""

    def __init__(self, **settings: Any) -> None:
        self.settings = CloudSettings(**settings)
        self.clock = HandClock()
        self.jobs = JobRegistry()
        self.quotas = Quotas(self.whole)
        self.warm_pools = self
        self.pooled = 0
        self.started: list[TrainingJob] = []
        self.stopped: list[TrainingJob] = []
        self.updated: list[TrainingJob] = []

    @property
    def whole(self) -> Platform:
        return cast("Platform", self)

    # What the operations ask the platform and its warm pools.

    def created(self, job: TrainingJob) -> None:
        self.started.append(job)

    def stop_wanted(self, job: TrainingJob) -> None:
        self.stopped.append(job)

    def in_use(self, instance_type: str, account: str, region: str) -> int:
        return self.pooled

    def update(self, job: TrainingJob) -> None:
        self.updated.append(job)

    # What the tests ask.

    def call(self, operation: str, params: Any = None, /, **members: Any) -> dict[str, Any]:
        return OPERATIONS[operation](self.whole, CALLER, members if params is None else params)

    def refused(self, operation: str, params: Any = None, /, **members: Any) -> AwsError:
        with pytest.raises(AwsError) as refusal:
            self.call(operation, params, **members)
        return refusal.value

    def create(self, name: str = "job", **changes: Any) -> TrainingJob:
        self.call("CreateTrainingJob", training_request(name, **changes))
        return self.job(name)

    def job(self, name: str) -> TrainingJob:
        return self.jobs.of(CALLER.account, CALLER.region)[name]

    def pass_time(self, seconds: float = 1.0) -> None:
        self.clock.passed += seconds


@contextmanager
def small_sagemaker(**settings: Any) -> Iterator[SmallSagemaker]:
    """An empty SageMaker."""
    with mock_aws():
        yield SmallSagemaker(**settings)
