"""The environment variables and the command of a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs.image_environments import ImageEnvironment

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform

#: The cloud's id, in every process that a job starts: so that what is left behind can be found.
MARKER = "CLOUDTUNE_LOCALCLOUD"
#: Where jobs get their credentials: under the cloud's endpoint, followed by a token.
CREDENTIALS_PATH = "/cloudtune-localcloud/credentials/"


def is_isolated(job: TrainingJob) -> bool:
    """Whether the job is to have no network."""
    return bool(job.request.get("EnableNetworkIsolation"))


def container_environment(platform: Platform, job: TrainingJob, host: str, root: str) -> dict[str, str]:
    """All variables of a container; nothing comes from the cloud's own.

    The request's Environment overrules what an image or AWS only suggests (PATH, region, endpoint), not who the job is.

    Args:
        platform: The cloud.
        job: Whose container.
        host: Such as ``algo-1``.
        root: Folder of the run; ``home`` in it is made.
    """
    home = os.path.join(root, "home")
    os.makedirs(home, exist_ok=True)
    image = (job.request.get("AlgorithmSpecification") or {}).get("TrainingImage") or ""
    suggested = {
        **ImageEnvironment.of(platform.settings.images, image).variables(os.path.join(root, "bin")),
        "HOME": home,
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": job.region,
        "AWS_DEFAULT_REGION": job.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if platform.endpoint and not is_isolated(job):
        token = platform.identities.issue(job)
        suggested["AWS_ENDPOINT_URL"] = platform.endpoint
        suggested["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{platform.endpoint}{CREDENTIALS_PATH}{token}"
    asked: Mapping[str, str] = job.request.get("Environment") or {}
    return {
        **suggested,
        **asked,
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        "CURRENT_HOST": host,
        MARKER: platform.id,
    }


def temporary_folders(root: str) -> dict[str, str]:
    """The folders that the container has as /tmp and /var/tmp, which are made.

    Args:
        root: Folder of the run.
    """
    folders = {"/tmp": os.path.join(root, "tmp"), "/var/tmp": os.path.join(root, "var-tmp")}  # noqa: S108  # its own
    for folder in folders.values():
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o1777)  # noqa: S103  # as /tmp is; the folder above lets nobody in
    return folders


def container_command(job: TrainingJob) -> list[str]:
    """``ContainerEntrypoint`` and ``ContainerArguments``, or ``train`` as ``docker run <image> train`` has it."""
    algorithm = job.request.get("AlgorithmSpecification") or {}
    return [*(algorithm.get("ContainerEntrypoint") or ["train"]), *(algorithm.get("ContainerArguments") or ())]
