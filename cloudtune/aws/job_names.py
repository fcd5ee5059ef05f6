"""Names of training jobs: valid, unique, and found by a prefix."""

from __future__ import annotations


def job_name(experiment: str, experiment_id: str, trial: int, attempt: int) -> str:
    """``<experiment>-<id>-<trial>-<attempt>``, at most 63 characters."""
    raise NotImplementedError


def job_name_prefix(experiment: str, experiment_id: str) -> str:
    """What the names of all jobs of an experiment, and of no other, begin with."""
    raise NotImplementedError
