"""The job template for a Estimator of SDK v2."""

from __future__ import annotations

from typing import Any

from cloudtune.aws.job_template import JobTemplate


def template_of_estimator(given: Any, inputs: Any, keep_own_entry: bool | None) -> JobTemplate:
    """See :func:`cloudtune.aws.job_template.template_of`."""
    raise NotImplementedError
