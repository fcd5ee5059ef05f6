"""What a trial may cost at most, before any backend is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.aws.prices import cost
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.backend.sagemaker_backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend.machine_choices import instance_types, most_instances
from cloudtune.studies.tuner_costs import hourly_price

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner


def trial_machines(tuner: Tuner) -> Sequence[Sequence[tuple[str, int]]]:
    """All sets of machines (type, number) of which a trial may get one; none: trials have no machines of their own."""
    backend = tuner.trial_backend
    if not isinstance(backend, SageMakerBackend):
        return []
    template, space = backend.template, tuner.scheduler.config_space
    if template.has_groups:
        return [template.machines]
    count = most_instances(space, template.instance_count)
    types = dict.fromkeys([*instance_types(space, template.instance_type), *backend.fallback_instance_types])
    return [[(one, count)] for one in types]


def unpriced_types(tuner: Tuner, region: str) -> list[str]:
    """Types of instance that a trial may get and whose price is not known."""
    types = dict.fromkeys(one for machines in trial_machines(tuner) for one, _ in machines)
    return [one for one in types if hourly_price(region, one, 1) is None]


def dearest_hour(tuner: Tuner, region: str) -> float | None:
    """Dollars per hour of the dearest machines that a trial may get; None: a price is not known.

    Args:
        tuner: Of the trial.
        region: Where it runs.
    """
    prices = [[hourly_price(region, one, count) for one, count in machines] for machines in trial_machines(tuner)]
    known = [sum(price for price in one if price is not None) for one in prices if None not in one]
    return max(known, default=0.0) if len(known) == len(prices) else None


def most_of_a_trial(tuner: Tuner, region: str) -> float | None:
    """Dollars that one job of a trial may cost at most; None: a price is not known. 0: it has no job.

    Args:
        tuner: Of the trial.
        region: Where it runs.
    """
    backend = tuner.trial_backend
    if not isinstance(backend, SageMakerBackend):
        return 0.0
    template = backend.template
    return cost(dearest_hour(tuner, region), template.max_run + STOP_GRACE, retained_seconds=template.keep_alive_period)
