"""Where the records of training jobs are kept: in moto's own place for them, so that its reset clears them too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

from moto.sagemaker.models import sagemaker_backends

from cloudtune.localcloud.aws_error import validation_error
from cloudtune.localcloud.jobs.training_job import TrainingJob


class JobRegistry:
    """The training jobs of all accounts and regions, each in order of creation. Thread-safe."""

    def __init__(self) -> None:
        #: Held while it is decided whether a job may be created, so that names and quotas hold.
        self.creating = threading.RLock()
        # Account and region -> the jobs that had not ended when it was last asked, so that nobody scans thousands of
        # finished jobs to count the running ones.
        self._live: dict[tuple[str, str], dict[str, TrainingJob]] = {}

    def of(self, account: str, region: str) -> dict[str, TrainingJob]:
        """The jobs of an account in a region, by name: the dictionary itself, to read and to delete from.

        New jobs go through :meth:`add`. Raises AwsError where there is no such region.
        """
        try:
            jobs = sagemaker_backends[account][region].training_jobs
        except KeyError as error:
            raise validation_error(f"Region {region} does not exist or has no SageMaker.") from error
        # moto says what it would put there itself.
        return cast("dict[str, TrainingJob]", jobs)

    def add(self, job: TrainingJob) -> None:
        """Keeps a job: a new one, or one that was saved. Raises ValueError where its name is taken."""
        with self.creating:
            jobs = self.of(job.account, job.region)
            if job.name in jobs:
                raise ValueError(f"There is a training job {job.name} in {job.region} already.")
            jobs[job.name] = job
            self._live.setdefault((job.account, job.region), {})[job.name] = job

    def live(self, account: str, region: str) -> list[TrainingJob]:
        """The jobs that have not ended, oldest first. Costs as much as there are such jobs."""
        with self.creating:
            kept = self._live.get((account, region))
            if not kept:
                return []
            jobs = self.of(account, region)
            # A job that moto's reset or a deletion took away is not there any more, or another has its name.
            live = {name: job for name, job in kept.items() if not job.is_terminal and jobs.get(name) is job}
            self._live[account, region] = live
            return list(live.values())

    def __iter__(self) -> Iterator[TrainingJob]:
        for regions in list(dict(sagemaker_backends).values()):
            for backend in list(dict(regions).values()):
                yield from cast("list[TrainingJob]", list(backend.training_jobs.values()))
