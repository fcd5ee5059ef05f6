"""What a searcher is told of the experiment that its configurations are for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What configurations are to be good at, and how far they may be trained.

    Args:
        metrics: Names of what scripts report and what is optimised; the first is the one of a single objective.
        modes: ``"min"`` or ``"max"`` for each metric.
        resource_attr: Key of a report that counts the resource (epochs) used so far, or None.
        max_resource: The resource of a trial that is trained to its end, or None if that is not known.
        levels: Rung levels at which a scheduler compares trials, the maximum resource last; () if it has none.
    """

    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    resource_attr: str | None = None
    max_resource: float | None = None
    levels: tuple[int, ...] = ()

    def cost_sign(self, metric: str) -> float:
        """What a value of a metric is multiplied by so that lower is better."""
        return -1.0 if self.modes[self.metrics.index(metric)] == "max" else 1.0
