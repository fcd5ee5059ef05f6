"""The covariance of the Gaussian process, and what is known beforehand about its parameters.

All parameters are handled as logarithms, in one vector. Their priors are BoTorch's defaults: a log-normal prior for
length scales whose location grows with the number of dimensions (Hvarfner et al. 2024, "Vanilla Bayesian Optimization
Performs Great in High Dimensions", ICML), a log-normal one for the variance of the noise, and no output scale, since
what is modelled has unit variance.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.models.utils.gpytorch_modules import (
    get_covar_module_with_dim_scaled_prior,
    get_gaussian_likelihood_with_lognormal_prior,
)

from cloudtune.optimizer.searchers.bayesian.encoder import Array
from cloudtune.optimizer.searchers.bayesian.matern import matern
from cloudtune.optimizer.searchers.bayesian.mixture import Mixture

#: Least length scale, in unit cubes, and least variance of the noise, in variances of what is modelled.
MIN_LENGTH_SCALE = 0.025
MIN_NOISE = 1e-6

#: Weight of what all configurations gain from level to level beyond the estimate, beside their own values' of 1.
_CURVE_WEIGHT = 0.1
_CURVE_LENGTH_SCALE = 0.5

#: What is added to the logarithms of the length scales for a smooth start, and its logarithm of the noise.
_SMOOTHER = 1.5
_LITTLE_NOISE = math.log(1e-3)

#: Of the exponents that warp inputs, BoTorch's default for its ``Warp``.
_WARP_PRIOR = (0.0, math.sqrt(0.75))
_WARP_MARGIN = 1e-6

#: Of the weights of what numbers and categories contribute alone, relative to all together: most likely alike.
_WEIGHT_PRIOR = (1.0, 1.0)
_WEIGHT_BOUNDS = (math.log(1e-3), math.log(1e3))


@dataclass(frozen=True)
class LogNormal:
    """A log-normal prior: normal for the logarithm, with this mean and standard deviation."""

    location: float
    scale: float

    def log_density(self, logarithms: Any) -> Any:
        """Summed logarithms of the densities of the exponentials (not of the logarithms), up to a constant."""
        return -(((logarithms - self.location) / self.scale) ** 2).sum() / 2.0 - logarithms.sum()

    @property
    def mode(self) -> float:
        """Logarithm of the most likely value."""
        return self.location - self.scale**2


class Kernel:
    """Matérn 5/2 with a length scale per hyperparameter, and where there is one, over (configuration, resource).

    Where there are categories and anything else, it is a weighted mean of such covariances; see
    :class:`~cloudtune.optimizer.searchers.bayesian.mixture.Mixture`.

    With a resource, the last column of each row tells how far a configuration is trained, in [0, 1]. Then the
    covariance is that of the configurations times that of the resources, plus that of a curve which all
    configurations have in common.

    Args:
        owners: For each column of a configuration's row, the number of its hyperparameter.
        resource: Whether there is such a last column.
        warped: Columns that are warped by the distribution function of Kumaraswamy (Snoek et al. 2014, "Input Warping
            for Bayesian Optimization of Non-stationary Functions", ICML).
        categories: Numbers of the hyperparameters whose values have no order.
    """

    def __init__(
        self,
        owners: Sequence[int],
        resource: bool = False,
        warped: Sequence[int] = (),
        categories: Collection[int] = (),
    ) -> None:
        self._owners = torch.tensor(list(owners), dtype=torch.long)
        self._width = len(owners)
        self._resource = resource
        self._warped = torch.tensor(list(warped), dtype=torch.long)
        num_scales = max(owners) + 1
        lengths = get_covar_module_with_dim_scaled_prior(ard_num_dims=num_scales, use_rbf_kernel=False)
        noise = get_gaussian_likelihood_with_lognormal_prior().noise_covar.noise_prior
        self._priors = [
            (slice(0, num_scales), _log_normal(lengths.lengthscale_prior)),
            (slice(num_scales, num_scales + 1), _log_normal(noise)),
        ]
        bounds = [(math.log(MIN_LENGTH_SCALE), math.log(1e3))] * num_scales + [(math.log(MIN_NOISE), 0.0)]
        if resource:
            one = get_covar_module_with_dim_scaled_prior(ard_num_dims=1, use_rbf_kernel=False).lengthscale_prior
            self._priors.append((slice(len(bounds), len(bounds) + 1), _log_normal(one)))
            bounds.append((math.log(0.1), math.log(1e3)))
        self._num_scales = num_scales
        self._exponents = len(bounds)
        if warped:
            end = len(bounds) + 2 * len(warped)
            self._priors.append((slice(len(bounds), end), LogNormal(*_WARP_PRIOR)))
            bounds += [(math.log(0.1), math.log(10.0))] * (2 * len(warped))
        self._weights = len(bounds)
        self._mixture = Mixture.of(owners, categories)
        if self._mixture is not None:
            end = len(bounds) + self._mixture.num_weights
            self._priors.append((slice(len(bounds), end), LogNormal(*_WEIGHT_PRIOR)))
            bounds += [_WEIGHT_BOUNDS] * self._mixture.num_weights
        #: Least and greatest values of the logarithms of the parameters.
        self.bounds = bounds

    @property
    def num_parameters(self) -> int:
        """Length of a vector of parameters."""
        return len(self.bounds)

    def starts(self) -> Array:
        """Parameters to begin a fit with, shape ``(2, num_parameters)``: :meth:`initial`, and little noise and change.

        With few data there often are two maxima: one where everything is noise, and one where it is smooth.
        """
        smooth = self.initial()
        smooth[: self._num_scales] += _SMOOTHER
        smooth[self._num_scales] = _LITTLE_NOISE
        return np.stack([self.initial(), smooth])

    def initial(self) -> Array:
        """The most likely parameters before there are data; no warping, and equal weights."""
        start = np.empty(self.num_parameters)
        for where, prior in self._priors:
            start[where] = prior.mode if where.start < self._exponents else 0.0
        lower, upper = np.array(self.bounds).T
        return np.clip(start, lower, upper)

    def log_prior(self, parameters: Any) -> Any:
        """Logarithm of the density of the parameters, up to a constant."""
        return sum(prior.log_density(parameters[where]) for where, prior in self._priors)

    def noise(self, parameters: Any) -> Any:
        """Variance of the noise."""
        return torch.exp(parameters[self._num_scales])

    def scaled(self, parameters: Any, rows: Any) -> tuple[Any, Any]:
        """Rows in units of the length scales, and the column of the resource (None if there is none)."""
        columns = rows[:, : self._width]
        if len(self._warped):
            columns = self._warp(parameters, columns)
        inverse = torch.exp(-parameters[: self._num_scales])[self._owners]
        return columns * inverse, rows[:, self._width :] if self._resource else None

    def matrix(self, parameters: Any, a: tuple[Any, Any], b: tuple[Any, Any]) -> Any:
        """Covariances of rows, shape ``(n, m)``, both as :meth:`scaled` returns them."""
        configs = self._configs(parameters, a[0], b[0])
        if not self._resource:
            return configs
        own = torch.exp(-parameters[self._num_scales + 1])
        curve = matern(a[1] / _CURVE_LENGTH_SCALE, b[1] / _CURVE_LENGTH_SCALE)
        return configs * matern(a[1] * own, b[1] * own) + _CURVE_WEIGHT * curve

    def _configs(self, parameters: Any, a: Any, b: Any) -> Any:
        if self._mixture is None:
            return matern(a, b)
        return self._mixture.matrix(parameters[self._weights :], a, b)

    @property
    def variance(self) -> float:
        """Variance of each value, without noise."""
        return 1.0 + _CURVE_WEIGHT if self._resource else 1.0

    def _warp(self, parameters: Any, columns: Any) -> Any:
        first, second = torch.exp(parameters[self._exponents : self._weights]).chunk(2)
        inner = columns[:, self._warped] * (1.0 - 2.0 * _WARP_MARGIN) + _WARP_MARGIN
        return columns.index_copy(1, self._warped, 1.0 - (1.0 - inner**first) ** second)


def _log_normal(prior: Any) -> LogNormal:
    return LogNormal(float(prior.loc), float(prior.scale))
