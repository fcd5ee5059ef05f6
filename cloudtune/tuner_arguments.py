"""What a tuner is made with: wrong arguments are told of before anything begins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cloudtune import constants
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.optimizer.scheduler import TrialScheduler


def check_arguments(
    scheduler: TrialScheduler,
    n_workers: int,
    max_failures: int,
    callbacks: Iterable[TunerCallback],
    intervals: Mapping[str, float],
) -> None:
    """Checks arguments of a tuner.

    Args:
        scheduler: What to run.
        n_workers: Trials at the same time.
        max_failures: More failed trials than this end the experiment.
        callbacks: The user's.
        intervals: Seconds, by the name of the argument.

    Raises:
        ValueError: One is out of range.
        TypeError: Scheduler or callback is not derived as it should be.
    """
    if not isinstance(n_workers, int) or n_workers < 1:
        raise ValueError(f"n_workers must be at least 1, got {n_workers!r}; it is how many trials run at the same time")
    for name, seconds in intervals.items():
        if not seconds > 0:
            raise ValueError(f"{name} must be above 0 seconds, got {seconds!r}")
    if not hasattr(scheduler, "num_suggestions"):
        raise TypeError(
            f"{type(scheduler).__name__} is no complete scheduler; "
            "derive it from TrialScheduler and call super().__init__(config_space) in its constructor"
        )
    for callback in callbacks:
        if not isinstance(callback, TunerCallback):
            raise TypeError(f"a callback must be derived from TunerCallback, {type(callback).__name__} is not")
    if max_failures < 0:
        raise ValueError(f"max_failures must be 0 or more, got {max_failures}")


def check_metadata(metadata: Mapping[str, Any], scheduler: TrialScheduler) -> None:
    """Checks what the user wants in the experiment's metadata.

    Args:
        metadata: The user's.
        scheduler: Whose own entries stand beside them.

    Raises:
        ValueError: It is no JSON, or has a key that cloudtune writes itself.
    """
    try:
        json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"metadata cannot be written as JSON ({error}); use numbers, strings, lists and dicts"
        ) from error
    own = scheduler.metadata()
    for key in metadata:
        if key in own or key.startswith(constants.RESERVED_PREFIX):
            raise ValueError(f"metadata: the key '{key}' is one that cloudtune writes itself; choose another name")
