"""Metric definitions: what SageMaker's console shows of the metrics that a trial reports."""

from __future__ import annotations

from collections.abc import Iterable


def console_metrics(names: Iterable[str]) -> list[dict[str, str]]:
    """Definitions that read the named metrics from the lines a Reporter prints; at most 40."""
    raise NotImplementedError
