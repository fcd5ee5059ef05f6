"""Training jobs that a cloud takes over from the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.jobs.training_job import TrainingJob

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

_LOST = "InternalServerError: We encountered an internal error.  Please try again."


def jobs_to_json(platform: Platform) -> list[dict[str, Any]]:
    """The records of all jobs."""
    return [job.to_dict() for job in platform.jobs]


def jobs_from_json(records: list[dict[str, Any]], platform: Platform) -> None:
    """Puts the records into the registry and decides what becomes of jobs whose containers died with the cloud.

    Jobs that AWS would start again when their instance is lost (spot, or with a RetryStrategy) go on as a new run from
    their checkpoints; a job that was stopping is stopped; the others have failed. Warm pools are gone.
    """
    for record in records:
        job = TrainingJob.from_dict(record, platform.clock)
        platform.jobs.of(job.account, job.region)[job.name] = job
        pool = job.state.warm_pool
        if pool and pool.get("Status") in ("Available", "InUse"):
            job.move(job.state.secondary, warm_pool={**pool, "Status": "Terminated"})
        if job.is_terminal:
            continue
        if job.status == "Stopping":
            job.finish("Stopped", "Stopped", "Training job stopped")
        elif job.is_spot or job.request.get("RetryStrategy"):
            job.run += 1
            job.move("Interrupted", "The instance was lost; the training job starts again")
            platform.created(job)
        else:
            job.finish("Failed", "Failed", "Training job failed", _LOST)
