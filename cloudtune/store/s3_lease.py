"""The lease of an experiment in S3: an object that says who drives it, renewed as long as that one lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudtune.aws.s3 import Bucket


@dataclass(frozen=True)
class LeaseState:
    """What the lease object says.

    Args:
        owner: Who drives, or last drove, the experiment: host, pid, user, job, since, command.
        epoch: Number of that one's epoch; 0 while it begins.
        age: Seconds since it was renewed, by S3's own clock.
        released: It was given back.
    """

    owner: dict[str, Any]
    epoch: int
    age: float | None
    released: bool

    @property
    def is_alive(self) -> bool:
        """Whether somebody drives the experiment, as far as can be told."""
        raise NotImplementedError

    def describe(self) -> str:
        """Who holds it, in words."""
        raise NotImplementedError


def read_lease(bucket: Bucket, root: str) -> LeaseState | None:
    """Who drives an experiment; None if nobody ever did."""
    raise NotImplementedError


class S3Lease:
    """Keeps other tuners off an experiment.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.
        job_is_over: Whether the training job of this name has ended.
    """

    def __init__(self, bucket: Bucket, root: str, job_is_over: Callable[[str], bool] | None = None) -> None:
        raise NotImplementedError

    def acquire(self, takeover: bool = False) -> dict[str, Any]:
        """Takes the lease, begins to renew it, and returns who we are."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises Fenced if it is known that the lease was lost."""
        raise NotImplementedError

    def release(self) -> None:
        """Gives the lease back."""
        raise NotImplementedError
