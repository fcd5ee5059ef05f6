"""Where the records of training jobs are kept: in moto's own place for them, so that its reset clears them too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple, cast

from moto.sagemaker.models import sagemaker_backends

from cloudtune.localcloud.aws_error import validation_error
from cloudtune.localcloud.jobs.training_job import TrainingJob


class _Seen(NamedTuple):
    """The jobs at some time: moto's dictionary (another after a reset), how many were in it, and the running ones."""

    jobs: dict[str, TrainingJob]
    size: int
    live: list[TrainingJob]


class JobRegistry:
    """The training jobs of all accounts and regions, each in order of creation. Thread-safe."""

    def __init__(self) -> None:
        #: Held while it is decided whether a job may be created, so that names and quotas hold.
        self.creating = threading.RLock()
        # Account and region -> what was there when it was last asked, so that nobody scans thousands of finished jobs
        # to count the running ones.
        self._seen: dict[tuple[str, str], _Seen] = {}

    def of(self, account: str, region: str) -> dict[str, TrainingJob]:
        """The jobs of an account in a region, by name. The dictionary itself: changing it changes the cloud.

        New jobs go through :meth:`add`. Raises AwsError where there is no such region.
        """
        try:
            jobs = sagemaker_backends[account][region].training_jobs
        except KeyError as error:
            raise validation_error(f"Region {region} does not exist or has no SageMaker.") from error
        # moto says what it would put there itself.
        return cast("dict[str, TrainingJob]", jobs)

    def add(self, job: TrainingJob) -> None:
        """Keeps a job. Raises ValueError where its name is taken."""
        with self.creating:
            jobs = self.of(job.account, job.region)
            if job.name in jobs:
                raise ValueError(f"There is a training job {job.name} in {job.region} already.")
            live = self.live(job.account, job.region)
            jobs[job.name] = job
            self._seen[job.account, job.region] = _Seen(jobs, len(jobs), [*live, job])

    def live(self, account: str, region: str) -> list[TrainingJob]:
        """The jobs that have not ended, oldest first.

        Costs as much as there are such jobs; a full scan only after jobs were deleted, restored or reset.
        """
        with self.creating:
            jobs = self.of(account, region)
            seen = self._seen.get((account, region))
            if seen is not None and seen.jobs is jobs and seen.size == len(jobs):
                candidates = seen.live
            else:
                candidates = list(jobs.values())
            live = [job for job in candidates if not job.is_terminal]
            self._seen[account, region] = _Seen(jobs, len(jobs), live)
            return list(live)

    def __iter__(self) -> Iterator[TrainingJob]:
        for regions in list(dict(sagemaker_backends).values()):
            for backend in list(dict(regions).values()):
                yield from cast("list[TrainingJob]", list(backend.training_jobs.values()))
