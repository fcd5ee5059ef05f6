"""Reports from the CloudWatch logs of training jobs, for jobs that cannot write to S3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.aws.clients import Aws
from cloudtune.trial import Report


@dataclass(frozen=True)
class LogNews:
    """What is new of an attempt."""

    trial: int
    attempt: int
    job_name: str
    reports: list[Report] = field(default_factory=list)
    end: Mapping[str, Any] | None = None  # what the agent's end line says of the newest run
    settled: bool = False  # after job_ended(): nothing will follow


class LogChannel:
    """Reports of all watched jobs by one call of FilterLogEvents per look."""

    def __init__(self, aws: Aws, job_name_prefix: str, since: float | None = None) -> None:
        raise NotImplementedError

    def watch(
        self,
        job_name: str,
        trial: int,
        attempt: int,
        delivered: Mapping[int, int],
        agent: bool,
        may_restart: bool = True,
    ) -> None:
        """Reports of this job are wanted from now on; of each run, those below ``delivered[run]`` are known."""
        raise NotImplementedError

    def forget(self, job_name: str) -> None:
        """Nothing of this job is wanted any more."""
        raise NotImplementedError

    def look(self) -> list[LogNews]:
        """What is new."""
        raise NotImplementedError

    def job_ended(self, job_name: str) -> None:
        """The job is terminal: look() tells the rest, and then that the job is settled. Does not block."""
        raise NotImplementedError

    def drain(self, job_name: str) -> list[Report]:
        """The rest of a job that is terminal. Blocks for seconds where it is not known how many reports there are."""
        raise NotImplementedError
