"""Training jobs as DescribeTrainingJob tells of them, for tests without a cloud."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cloudtune.aws.training_jobs import JobState

CREATED = dt.datetime(2026, 11, 20, tzinfo=dt.timezone.utc)


def job_state(status: str, **told: Any) -> JobState:
    """The state of a job on one instance.

    Args:
        status: Its primary status, and, unless told otherwise, its secondary one.
        told: Other fields of the state.
    """
    known: dict[str, Any] = {
        "name": "job",
        "arn": "",
        "status": status,
        "secondary": status,
        "failure_reason": "",
        "instance_type": "ml.m5.large",
        "instance_count": 1,
        "billable_seconds": 100,
        "training_seconds": 100,
        "environment": {},
        "warm_pool": None,
        "created": CREATED,
        "ended": None,
        "is_spot": False,
        "max_run": 3600,
    }
    return JobState(**{**known, **told})
