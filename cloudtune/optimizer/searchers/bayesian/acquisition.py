"""How much a configuration is worth trying: the logarithm of the expected improvement, and its variants.

Sources: Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization" (NeurIPS) for
the logarithm; Gardner et al. 2014, "Bayesian Optimization with Inequality Constraints" (ICML); Lee et al. 2020,
"Cost-aware Bayesian Optimization" (arXiv:2003.10870), section 3, for cooling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from cloudtune.optimizer.searchers.bayesian.posterior import Posterior

_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class _LogImprovement(torch.autograd.Function):  # type: ignore[misc]
    """log(pdf(z) + z cdf(z)) of the standard normal distribution, accurate for all z; its derivative is cdf / that."""

    @staticmethod
    def forward(ctx: Any, z: Any) -> Any:
        low = z.clamp_max(-1.0)
        # 1 - |z| cdf / pdf cancels below about -1e5, where it is 1 / z^2.
        rest = 1.0 + low * math.sqrt(math.pi / 2.0) * torch.special.erfcx(low / -math.sqrt(2.0))
        rest = torch.where(low < -1e4, low**-2.0, rest)
        far = -0.5 * low * low - _LOG_ROOT_TWO_PI + torch.log(rest)
        high = z.clamp_min(-1.0)
        near = torch.log(torch.exp(-0.5 * high * high - _LOG_ROOT_TWO_PI) + high * torch.special.ndtr(high))
        value = torch.where(z < -1.0, far, near)
        ctx.save_for_backward(torch.exp(torch.special.log_ndtr(z) - value))
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] * ctx.saved_tensors[0]


def log_expected_improvement(mean: Any, deviation: Any, best: Any) -> Any:
    """log E[max(best - f, 0)] for f normal with this mean and standard deviation: lower is better."""
    return _LogImprovement.apply((best - mean) / deviation) + torch.log(deviation)


@dataclass(frozen=True)
class Constraint:
    """Values that must not be above a threshold.

    Args:
        posterior: Of the standardised values.
        threshold: In their units.
        any_feasible: Whether an observation fulfils it.
    """

    posterior: Posterior
    threshold: float
    any_feasible: bool

    def log_probability(self, rows: Any) -> Any:
        """Of being fulfilled."""
        mean, deviation = self.posterior.moments(rows)
        return torch.special.log_ndtr((self.threshold - mean) / deviation).mean(1)


@dataclass(frozen=True)
class Cost:
    """What a trial costs.

    Args:
        posterior: Of the standardised logarithm of the cost.
        scale: What it was divided by.
        exponent: Power of the cost that the improvement is divided by, from 1 (per cost) to 0 (whatever it costs).
    """

    posterior: Posterior
    scale: float
    exponent: float

    def log_penalty(self, rows: Any) -> Any:
        """Logarithm of the cost to that power, up to a constant."""
        return self.exponent * self.scale * self.posterior.moments(rows)[0].mean(1)


@dataclass(frozen=True)
class Acquisition:
    """The logarithm of the improvement over the best that is expected, averaged over fantasies.

    Args:
        posterior: Of the standardised values, lower being better.
        best: Lowest mean at trials so far, for each fantasy, shape ``(m,)``.
        resource: Where there is a column of the resource: the level at which improvement counts.
        constraint: Improvement counts where it is fulfilled only; None: everywhere.
        cost: Divides the improvement; None: does not count.
    """

    posterior: Posterior
    best: Any
    resource: float | None = None
    constraint: Constraint | None = None
    cost: Cost | None = None

    def __call__(self, rows: Any) -> Any:
        """Values for the rows of configurations, shape ``(q, d)`` to ``(q,)``."""
        at = rows
        if self.resource is not None:
            at = torch.cat([rows, rows.new_full((len(rows), 1), self.resource)], 1)
        value: Any = 0.0
        if self.constraint is not None:
            value = value + self.constraint.log_probability(at)
        if self.constraint is None or self.constraint.any_feasible:
            mean, deviation = self.posterior.moments(at)
            each = log_expected_improvement(mean, deviation, self.best)
            value = value + (each[:, 0] if each.shape[1] == 1 else torch.logsumexp(each, 1) - math.log(each.shape[1]))
        if self.cost is not None:
            value = value - self.cost.log_penalty(at)
        return value
