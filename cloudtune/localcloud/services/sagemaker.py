"""SageMaker's training jobs: the operations that we answer instead of moto."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.localcloud.services.operation import NotOurs, Operation

__all__ = ["OPERATIONS", "NotOurs", "Operation"]

#: Name of the operation -> what answers it. All others are moto's.
OPERATIONS: Mapping[str, Operation] = {}
