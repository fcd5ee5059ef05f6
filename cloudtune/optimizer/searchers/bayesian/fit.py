"""Fitting the parameters of a Gaussian process: the most likely ones, given the data (maximum a posteriori).

The marginal likelihood and its gradient are BoTorch's (gpytorch's), in closed form: the derivative by the covariance
matrix costs one inverse, and torch carries it on to the parameters. That takes a tenth of the general machinery's time.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch

from cloudtune.optimizer.searchers.bayesian.encoder import Array
from cloudtune.optimizer.searchers.bayesian.kernel import Kernel
from cloudtune.optimizer.searchers.bayesian.quasi_newton import minimise

logger = logging.getLogger(__name__)

#: Added to the variance of the noise, one after the other, until the covariance matrix can be factorised.
JITTERS = (0.0, 1e-6, 1e-4, 1e-2)


class NotPositiveDefinite(ArithmeticError):
    """A covariance matrix could not be factorised, or is not finite."""


@dataclass(frozen=True)
class Fit:
    """What a fit has found.

    Args:
        parameters: Logarithms of the parameters.
        jitter: What must be added to the variance of the noise.
        failed: Whether all attempts failed, so that ``parameters`` are those that the fit began with.
    """

    parameters: Array
    jitter: float = 0.0
    failed: bool = False


def negative_log_posterior(
    kernel: Kernel, parameters: Array, rows: torch.Tensor, values: torch.Tensor, jitter: float = 0.0
) -> tuple[float, Array]:
    """Minus the logarithm of (marginal likelihood x prior density), up to a constant, and its gradient.

    The constant mean is the most likely one for these parameters.

    Raises:
        NotPositiveDefinite: The covariance matrix could not be factorised.
    """
    theta = torch.tensor(parameters, dtype=torch.float64, requires_grad=True)
    scaled = kernel.scaled(theta, rows)
    covariance = kernel.matrix(theta, scaled, scaled)
    noise = kernel.noise(theta)
    with torch.no_grad():
        matrix = covariance.detach().clone()
        matrix.diagonal().add_(noise.detach() + jitter)
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info) or not bool(torch.isfinite(factor.diagonal()).all()):
            raise NotPositiveDefinite
        inverse = torch.cholesky_inverse(factor)
        sums = inverse.sum(1)
        weights = inverse @ values
        mean = weights.sum() / sums.sum()
        weights -= mean * sums
        value = (
            0.5 * (values - mean).dot(weights)
            + factor.diagonal().log().sum()
            + 0.5 * math.log(2.0 * math.pi) * len(values)
        )
        slope = inverse.sub_(torch.outer(weights, weights)).mul_(0.5)
    prior = kernel.log_prior(theta)
    carried = (slope * covariance).sum() + slope.diagonal().sum() * noise - prior
    (gradient,) = torch.autograd.grad(carried, theta)
    return float(value - prior.detach()), gradient.numpy()


def fit(kernel: Kernel, rows: torch.Tensor, values: torch.Tensor, warm: Array | None, max_steps: int = 60) -> Fit:
    """The most likely parameters that are found from :meth:`Kernel.starts` and ``warm``.

    Where the covariance matrices of all starts cannot be factorised, all is done again with more jitter. If that fails
    to the end, the first start is returned and said to have failed.

    Args:
        kernel: What to fit.
        rows: Shape ``(n, d)``.
        values: Standardised, shape ``(n,)``.
        warm: Parameters of an earlier fit, or None.
        max_steps: Of the minimisation.
    """
    starts = kernel.starts() if warm is None else np.concatenate([warm[None], kernel.starts()])
    lower, upper = np.array(kernel.bounds).T
    starts = np.clip(starts, lower, upper)
    for jitter in JITTERS:

        def objective(points: Array, _: object, jitter: float = jitter) -> tuple[Array, Array]:
            return _each(kernel, points, rows, values, jitter)

        found, heights = minimise(objective, starts, lower, upper, first_step=0.5, max_steps=max_steps, tolerance=1e-5)
        if np.isfinite(heights).any():
            return Fit(found[int(heights.argmin())], jitter)
        logger.debug("a covariance matrix could not be factorised with a jitter of %g", jitter)
    logger.warning(
        "the model of Bayesian optimisation could not be fitted to %d observations, whatever the jitter; "
        "it goes on with the parameters of the fit before",
        len(values),
    )
    return Fit(starts[0], JITTERS[-1], failed=True)


def _each(
    kernel: Kernel, points: Array, rows: torch.Tensor, values: torch.Tensor, jitter: float
) -> tuple[Array, Array]:
    """Values and gradients per observation at several points; infinite where they cannot be computed."""
    found = np.full(len(points), np.inf)
    gradients = np.zeros_like(points)
    for number, point in enumerate(points):
        try:
            value, gradient = negative_log_posterior(kernel, point, rows, values, jitter)
        except NotPositiveDefinite:
            continue
        if math.isfinite(value) and np.isfinite(gradient).all():
            found[number], gradients[number] = value / len(values), gradient / len(values)
    return found, gradients
