"""Training jobs: create, describe, stop, list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.aws.clients import Aws

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True)
class WarmPool:
    """Instances kept after a job (status Available, InUse, Reused, Terminated)."""

    status: str
    retained_seconds: int | None
    reused_by: str | None


@dataclass(frozen=True)
class JobState:
    """What DescribeTrainingJob tells."""

    name: str
    arn: str
    status: str
    secondary: str
    failure_reason: str
    instance_type: str
    instance_count: int
    billable_seconds: int | None
    training_seconds: int | None
    environment: Mapping[str, str]
    warm_pool: WarmPool | None
    created: dt.datetime
    ended: dt.datetime | None
    is_spot: bool
    max_run: int | None

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL


@dataclass(frozen=True)
class JobSummary:
    """A job in a listing."""

    name: str
    arn: str
    status: str
    secondary: str
    created: dt.datetime
    ended: dt.datetime | None
    warm_pool: WarmPool | None

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL


class TrainingJobs:
    """The training jobs of an account and region."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def create(self, request: Mapping[str, Any], patience: float | None = 0) -> None:
        """CreateTrainingJob."""
        raise NotImplementedError

    def describe(self, name: str, patience: float | None = None) -> JobState:
        """A job. NotFound where there is none."""
        raise NotImplementedError

    def stop(self, name: str, patience: float | None = None) -> bool:
        """Stops a job; False if it had ended."""
        raise NotImplementedError

    def list(self, name_contains: str, status: str | None = None) -> list[JobSummary]:
        """All jobs whose names contain this, oldest first."""
        raise NotImplementedError

    def end_warm_pool(self, name: str) -> bool:
        """Gives a job's kept instances back; False if none are kept (any more)."""
        raise NotImplementedError

    def tags(self, arn: str) -> dict[str, str]:
        """Tags of a job."""
        raise NotImplementedError
