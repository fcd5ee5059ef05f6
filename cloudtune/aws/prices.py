"""What an hour of a training instance costs, and what a job has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cloudtune.aws.clients import Aws


def price_per_hour(instance_type: str, region: str) -> float | None:
    """US dollars for an hour of on-demand training on one instance; None: unknown, which never counts as 0."""
    raise NotImplementedError


def cost(
    price: float | None, billable_seconds: float | None, instance_count: int = 1, retained_seconds: float = 0.0
) -> float | None:
    """US dollars that a job has cost; None where the price or the billable time is not known."""
    raise NotImplementedError


def refresh_prices(aws: Aws, regions: Iterable[str] | None = None) -> Path:
    """Asks AWS's Price List for the prices of training instances and keeps them in a file with their date."""
    raise NotImplementedError
