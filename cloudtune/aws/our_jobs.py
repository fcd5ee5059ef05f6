"""All training jobs of cloudtune that cost money now, of whatever experiment."""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune.aws.clients import Aws


@dataclass(frozen=True)
class OurJob:
    """A training job that runs, or whose instances a warm pool keeps."""

    name: str
    experiment: str
    tag: str
    trial: str
    place: str  # s3://bucket/prefix of the experiment; "" where the job does not say
    state: str  # secondary status, or "warm pool"


def find_our_jobs(aws: Aws) -> list[OurJob]:
    """All of them, oldest first."""
    raise NotImplementedError
