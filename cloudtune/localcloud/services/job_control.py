"""DescribeTrainingJob, StopTrainingJob, UpdateTrainingJob and DeleteTrainingJob."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.jobs.training_job import TERMINAL, TrainingJob
from cloudtune.localcloud.services.job_lookup import job_named
from cloudtune.localcloud.services.training_job_rules import check_keep_alive
from cloudtune.localcloud.services.validation import checked

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Secondary statuses in which remote debugging can be switched, by AWS's documentation.
_DEBUGGABLE = frozenset({"Downloading", "Training"})
#: Statuses of a warm pool that still holds instances of the job.
_RETAINED = frozenset({"Available", "InUse"})


def describe_training_job(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """All about a job."""
    request = checked("DescribeTrainingJob", params)
    return job_named(platform, caller, request["TrainingJobName"]).describe()


def stop_training_job(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Begins to stop a job. Stopping one that is stopping already changes nothing."""
    request = checked("StopTrainingJob", params)
    job = job_named(platform, caller, request["TrainingJobName"])
    if job.want_stop():
        platform.stop_wanted(job)
    elif job.is_terminal:
        raise _rejected(job)
    return {}


def update_training_job(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Changes how long a warm pool is kept, or the profiling or remote debugging of a running job."""
    request = checked("UpdateTrainingJob", params)
    job = job_named(platform, caller, request.pop("TrainingJobName"))
    if "ResourceConfig" in request:
        keep_alive = request["ResourceConfig"]["KeepAlivePeriodInSeconds"]
        check_keep_alive(keep_alive)
        pool = (job.state.warm_pool or {}).get("Status")
        if pool != "Available":
            raise validation_error(
                "KeepAlivePeriodInSeconds can be updated only while the job's warm pool is Available; "
                f"that of {job.name} is {pool or 'not there'}."
            )
        request["ResourceConfig"] = {**job.request["ResourceConfig"], "KeepAlivePeriodInSeconds": keep_alive}
    if "RemoteDebugConfig" in request and job.state.secondary not in _DEBUGGABLE:
        raise validation_error(
            f"RemoteDebugConfig can be updated only while the job is Downloading or Training; {job.name} is "
            f"{job.state.secondary}."
        )
    if not request.keys().isdisjoint({"ProfilerConfig", "ProfilerRuleConfigurations"}) and job.status in TERMINAL:
        raise _rejected(job)
    job.update_request(**request)
    if "ResourceConfig" in request:
        platform.warm_pools.update(job)
    return {"TrainingJobArn": job.arn}


def delete_training_job(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Removes a job that has ended; its name is free again."""
    name = checked("DeleteTrainingJob", params)["TrainingJobName"]
    with platform.jobs.creating:
        job = job_named(platform, caller, name, code="ResourceNotFound")
        if not job.is_terminal:
            raise AwsError("ResourceInUse", f"The training job {name} cannot be deleted in status {job.status}.")
        pool = (job.state.warm_pool or {}).get("Status")
        if pool in _RETAINED:
            raise AwsError("ResourceInUse", f"The training job {name} cannot be deleted: its warm pool is {pool}.")
        del platform.jobs.of(caller.account, caller.region)[name]
    return {}


def _rejected(job: TrainingJob) -> AwsError:
    return validation_error(f"The request was rejected because the training job is in status {job.status}.")
