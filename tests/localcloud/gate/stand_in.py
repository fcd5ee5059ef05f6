"""What the gate needs of a cloud, and no more: no jobs that run, no logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import boto3
from botocore.config import Config
from moto import mock_aws

from cloudtune.localcloud.clock import CloudClock
from cloudtune.localcloud.fault_plan import FaultPlan
from cloudtune.localcloud.gate.call_log import CallLog
from cloudtune.localcloud.gate.identities import Identities
from cloudtune.localcloud.gate.seams import Seams
from cloudtune.localcloud.gate.throttle import Throttle
from cloudtune.localcloud.jobs.registry import JobRegistry
from cloudtune.localcloud.jobs.storage import Storage
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.platform import Platform
from cloudtune.localcloud.services.quotas import Quotas
from cloudtune.localcloud.settings import CloudSettings

ROLE = "arn:aws:iam::123456789012:role/tuning"


class StandIn:
    """The parts of a platform that the gate knows."""

    def __init__(self, settings: CloudSettings, endpoint: str | None = None) -> None:
        self.settings = settings
        self.endpoint = endpoint
        self.clock = CloudClock(settings.time_scale)
        self.faults = FaultPlan(self.clock, settings.seed)
        for fault in settings.faults:
            self.faults.add(fault)
        self.calls = CallLog(self.clock, settings.kept_calls)
        self.throttle = Throttle(self.clock, settings.rates)
        self.identities = Identities(self.platform)
        self.jobs = JobRegistry()
        self.quotas = Quotas(self.platform)
        self.storage = Storage(self.platform)
        self.executor = None
        self.forgotten = 0

    @property
    def platform(self) -> Platform:
        """Itself, for what asks for a platform."""
        return cast("Platform", self)

    def forget_jobs(self) -> None:
        self.forgotten += 1


@contextmanager
def open_gate(**settings: Any) -> Iterator[StandIn]:
    """A gate before moto's services, in this process."""
    cloud = StandIn(CloudSettings(**settings))
    seams = Seams(cloud.platform)
    seams.install()
    try:
        with mock_aws():
            yield cloud
    finally:
        seams.uninstall()


def client(service: str, attempts: int = 1, **arguments: Any) -> Any:
    """A client that does not hide errors by trying again."""
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    return boto3.client(service, region_name="us-east-1", config=config, **arguments)


def training_job(cloud: StandIn, name: str = "train-1") -> TrainingJob:
    """The record of a job, as if it had been created."""
    request = {"TrainingJobName": name, "RoleArn": ROLE}
    return TrainingJob(request, cloud.clock, cloud.settings.account, "us-east-1")


def session_of(credentials: dict[str, str] | None) -> dict[str, Any]:
    """Arguments of a client that signs with these credentials."""
    assert credentials is not None
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["Token"],
    }
