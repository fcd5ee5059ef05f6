"""CreateTrainingJob."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.services.training_job_rules import DEFAULT_MAX_RUNTIME, check_rules
from cloudtune.localcloud.services.validation import checked

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform


def create_training_job(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Checks the request, the name and the quotas, in this order, and starts the job."""
    request = checked("CreateTrainingJob", params)
    check_rules(request)
    request["StoppingCondition"] = {
        "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME,
        **request.get("StoppingCondition", {}),
    }
    with platform.jobs.creating:
        there = platform.jobs.of(caller.account, caller.region).get(request["TrainingJobName"])
        if there is not None:
            raise AwsError(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a training job with this "
                f"name already exists ({there.arn})",
            )
        platform.quotas.check(request, caller.account, caller.region)
        job = TrainingJob(request, platform.clock, caller.account, caller.region)
        platform.jobs.add(job)
    platform.created(job)
    return {"TrainingJobArn": job.arn}
