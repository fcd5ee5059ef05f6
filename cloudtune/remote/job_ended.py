"""Whether a training job that holds the lease of an experiment has ended."""

from __future__ import annotations

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import NotFound
from cloudtune.aws.training_jobs import TrainingJobs


class JobEnded:
    """Whether a training job is known to have ended. Picklable, unlike a function made for it.

    One that is not to be found may run in another region: whoever looks there for the experiment is not to take it.

    Args:
        aws: Account and region.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def __call__(self, job: str) -> bool:
        try:
            return TrainingJobs(self._aws).describe(job).is_terminal
        except NotFound:
            return False
