"""What a fitted Gaussian process says of configurations, when trials that still run are taken into account."""

from __future__ import annotations

import copy
from typing import Any

import torch

from cloudtune.optimizer.searchers.bayesian.fit import JITTERS, Fit, NotPositiveDefinite
from cloudtune.optimizer.searchers.bayesian.kernel import Kernel


class Posterior:
    """Means and variances given observations, and given fantasies of what pending trials will observe.

    Fantasies are drawn from what the observations say of the pending trials together (Snoek et al. 2012, "Practical
    Bayesian Optimization of Machine Learning Algorithms", NeurIPS, section 3.2). They share one factorised matrix.

    Args:
        kernel: Its kernel.
        fit: Its parameters.
        rows: Where there are observations, shape ``(n, d)``.
        values: Standardised observations, shape ``(n,)``.
        pending: Where there will be some, shape ``(p, d)``.
        normals: Standard normal numbers, shape ``(p, m)`` for ``m`` fantasies; ``m`` is 1 where nothing is pending.

    Raises:
        NotPositiveDefinite: The covariance matrix cannot be factorised.
    """

    def __init__(self, kernel: Kernel, fit: Fit, rows: Any, values: Any, pending: Any, normals: Any) -> None:
        with torch.no_grad():
            self._kernel = kernel
            self._parameters = torch.tensor(fit.parameters, dtype=torch.float64)
            count = len(rows)
            self._all = kernel.scaled(self._parameters, torch.cat([rows, pending]))
            covariance = kernel.matrix(self._parameters, self._all, self._all)
            self._noise, self._jitter = float(kernel.noise(self._parameters)), fit.jitter
            self._inverse = _inverse_factor(covariance, self._noise, self._jitter)
            half = self._inverse[:count, :count]
            ones = half.sum(1)
            self.mean = float(ones.dot(half @ values) / ones.dot(ones))
            # The rows of the factor that belong to pending trials turn normals into fantasies, and their whitened
            # values are these normals.
            whitened = torch.cat([(half @ (values - self.mean))[:, None].expand(-1, normals.shape[1]), normals])
            self._weights = self._inverse.T @ whitened
            #: Means at the observations and then at the pending trials, shape ``(n + p, m)``.
            self.means = self.mean + covariance @ self._weights

    def expecting(self, rows: Any) -> Posterior:
        """The same, once further rows, shape ``(q, d)``, have shown just what is expected of them: means stay.

        Raises:
            NotPositiveDefinite: The covariance matrix cannot be factorised.
        """
        further = copy.copy(self)
        with torch.no_grad():
            scaled = self._kernel.scaled(self._parameters, rows)
            cross = self._kernel.matrix(self._parameters, scaled, self._all) @ self._inverse.T
            rest = self._kernel.matrix(self._parameters, scaled, scaled) - cross @ cross.T
            corner = _inverse_factor(rest, self._noise, self._jitter)
            lower = torch.cat([-corner @ cross @ self._inverse, corner], 1)
            further._inverse = torch.cat([torch.nn.functional.pad(self._inverse, (0, len(rows))), lower])
            further._weights = torch.nn.functional.pad(self._weights, (0, 0, 0, len(rows)))
            (columns, levels), (further_columns, further_levels) = self._all, scaled
            further._all = (
                torch.cat([columns, further_columns]),
                None if levels is None else torch.cat([levels, further_levels]),
            )
        return further

    def moments(self, rows: Any) -> tuple[Any, Any]:
        """Means, shape ``(q, m)``, and standard deviations without noise, shape ``(q, 1)``, for rows ``(q, d)``."""
        cross = self._kernel.matrix(self._parameters, self._kernel.scaled(self._parameters, rows), self._all)
        whitened = cross @ self._inverse.T
        variance = (self._kernel.variance - (whitened * whitened).sum(1, keepdim=True)).clamp_min(1e-12)
        return self.mean + cross @ self._weights, variance.sqrt()


def _inverse_factor(covariance: Any, noise: float, jitter: float) -> Any:
    """Inverse of the lower triangular factor of the covariance with noise."""
    for more in (one for one in JITTERS if one >= jitter):
        matrix = covariance.clone()
        matrix.diagonal().add_(noise + more)
        factor, info = torch.linalg.cholesky_ex(matrix)
        if not int(info) and bool(torch.isfinite(factor.diagonal()).all()):
            return torch.linalg.solve_triangular(factor, torch.eye(len(factor), dtype=torch.float64), upper=False)
    raise NotPositiveDefinite
