"""SageMakerBackend keeps the contract of all backends; reports, wishes and checkpoints go through S3."""

from __future__ import annotations

from tests.backend.sagemaker.harness import SageMakerContract


class TestReportsThroughS3(SageMakerContract):
    """The contract, by way of the agent's objects in S3."""
