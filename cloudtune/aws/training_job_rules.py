"""What must hold of a TrainingJob, one sentence per mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.aws.job_template import TrainingJob


def check(job: TrainingJob) -> None:
    """Raises ValueError for the first mistake in a description."""
