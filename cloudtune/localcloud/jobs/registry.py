"""Where the records of training jobs are kept: in moto's own place for them, so that its reset clears them too."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from moto.sagemaker.models import sagemaker_backends

from cloudtune.localcloud.jobs.training_job import TrainingJob


class JobRegistry:
    """The training jobs of all accounts and regions, each in order of creation."""

    def __init__(self) -> None:
        #: Held while it is decided whether a job may be created, so that names and quotas hold.
        self.creating = threading.RLock()

    def of(self, account: str, region: str) -> dict[str, TrainingJob]:
        """The jobs of an account in a region, by name. The dictionary itself: changing it changes the cloud."""
        jobs: dict[str, TrainingJob] = sagemaker_backends[account][region].training_jobs
        return jobs

    def __iter__(self) -> Iterator[TrainingJob]:
        for regions in list(dict(sagemaker_backends).values()):
            for backend in list(dict(regions).values()):
                yield from list(backend.training_jobs.values())
