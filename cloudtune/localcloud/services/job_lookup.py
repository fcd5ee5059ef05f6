"""Training jobs by name or ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.services.operation import NotOurs

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

_NOT_FOUND = "Requested resource not found."


def job_named(platform: Platform, caller: Caller, name: str, code: str = "ValidationException") -> TrainingJob:
    """The caller's job of that name; raises AwsError with the code that the operation has for it."""
    job = platform.jobs.of(caller.account, caller.region).get(name)
    if job is None:
        raise AwsError(code, _NOT_FOUND)
    return job


def job_of_arn(platform: Platform, caller: Caller, arn: str) -> TrainingJob:
    """The job of an ARN; raises AwsError where the caller has none, NotOurs for anything that is no training job."""
    _, _, _, region, account, resource = arn.split(":", 5)
    kind, _, name = resource.partition("/")
    if kind != "training-job":
        raise NotOurs
    if (account, region) != (caller.account, caller.region):
        raise validation_error(_NOT_FOUND)
    return job_named(platform, caller, name)
