"""``metadata.json``: what is to be known of an experiment without reading its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune import __version__, constants
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.stopping_criterion import Criterion
from cloudtune.tuning_status import TuningStatus


def metadata_at_start(
    name: str,
    created: float,
    started: float,
    n_workers: int,
    backend: TrialBackend,
    scheduler: TrialScheduler,
    criterion: Criterion,
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """What is known from the start.

    Args:
        name: Of the experiment.
        created: When it began, seconds since 1970.
        started: When this run began.
        n_workers: Trials at the same time.
        backend: Where they run.
        scheduler: What chooses them.
        criterion: What ends the experiment.
        own: The user's.
    """
    fixed = backend.fixed_settings()
    return {
        constants.ST_TUNER_CREATION_TIMESTAMP: created,
        constants.ST_TUNER_START_TIMESTAMP: started,
        "name": name,
        "backend": type(backend).__name__,
        "entrypoint": backend.default_name,
        "n_workers": n_workers,
        "cloudtune_version": __version__,
        constants.ST_LIMITS: {what: limit for what, limit, _ in criterion.describe()},
        **({constants.ST_BACKEND_SETTINGS: dict(fixed)} if fixed else {}),
        **scheduler.metadata(),
        **own,
    }


def metadata_at_end(
    status: TuningStatus, ended: float, scheduler_seconds: float = 0.0, outcome: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What is known at the end of a run besides.

    Args:
        status: Of the tuner.
        ended: When the run ended, seconds since 1970.
        scheduler_seconds: Real time that the scheduler has taken in the run.
        outcome: What the scheduler tells of how it went.
    """
    known: dict[str, Any] = {
        "st_tuner_end_timestamp": ended,
        "st_finished_why": status.finished_why,
        # Who compares experiments has to know whether more may come.
        "st_finished_state": status.finished_state,
    }
    if scheduler_seconds:
        known["st_scheduler_seconds"] = round(scheduler_seconds, 6)
    if outcome:
        known["st_scheduler_outcome"] = dict(outcome)
    if status.cost:
        known["st_cost"] = round(status.cost, 6)
    return known
