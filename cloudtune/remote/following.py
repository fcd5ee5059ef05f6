"""Follows an experiment that runs elsewhere, from what stands of it in S3."""

from __future__ import annotations

from cloudtune.aws.clients import Aws


def follow(aws: Aws, place: str, job_name: str | None = None) -> None:
    """Shows an experiment as if it ran here, until it ends; returns then, and at Ctrl-C.

    Args:
        aws: Account and region.
        place: ``s3://bucket/prefix`` of the experiment.
        job_name: Of its tuner's training job, whose failure is told.
    """
    raise NotImplementedError
