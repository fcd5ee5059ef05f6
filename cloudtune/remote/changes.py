"""What a continued tuner does otherwise than the one that was pickled, as plain data that travels with its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.tuner import Tuner

#: The change of the limits.
STOP_CRITERION = "stop_criterion"
_NUMBERS = ("n_workers", "max_failures")


def changes_of(
    stop_criterion: StoppingCriterion | None = None, n_workers: int | None = None, max_failures: int | None = None
) -> dict[str, Any]:
    """Says what is to change; what is None stays.

    Args:
        stop_criterion: Takes the place of the tuner's.
        n_workers: Trials at the same time.
        max_failures: More failed trials than this end the experiment.
    """
    changes: dict[str, Any] = {"n_workers": n_workers, "max_failures": max_failures}
    if stop_criterion is not None:
        changes[STOP_CRITERION] = {one.name: getattr(stop_criterion, one.name) for one in fields(stop_criterion)}
    return {name: value for name, value in changes.items() if value is not None}


def change(tuner: Tuner, changes: Mapping[str, Any]) -> None:
    """Changes a tuner that does not run."""
    limits = changes.get(STOP_CRITERION)
    if limits is not None:
        tuner.stop_criterion = tuner.stop_criterion.with_limits(StoppingCriterion(**limits))
    for name in _NUMBERS:
        if name in changes:
            setattr(tuner, name, changes[name])


def longest_time(changes: Mapping[str, Any], before: float | None, last_trials: float | None = 0.0) -> float | None:
    """Seconds that the experiment may take, changed like this; None: nothing limits its time.

    Args:
        changes: See :func:`changes_of`.
        before: The same without changes.
        last_trials: Seconds that trials may run on once the stopping criterion is met; None: as long as they like.
    """
    limits = changes.get(STOP_CRITERION)
    if limits is None:
        return before
    limit: float | None = limits.get("max_wallclock_time")
    return None if limit is None or last_trials is None else limit + last_trials
