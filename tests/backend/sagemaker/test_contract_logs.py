"""SageMakerBackend keeps the contract of all backends also where jobs have no network: reports go through their log."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.backend.sagemaker.harness import SageMakerContract


class TestReportsThroughTheLog(SageMakerContract):
    """The contract, by way of CloudWatch and SageMaker's own checkpoints."""

    saves_generations = False
    job_members: ClassVar[dict[str, Any]] = {"enable_network_isolation": True}
