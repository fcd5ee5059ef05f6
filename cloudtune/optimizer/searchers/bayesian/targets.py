"""What a Gaussian process is fitted to, in place of the values that trials have reported."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloudtune.optimizer.searchers.bayesian.encoder import Array

#: Beyond this size values are cut, so that sums of squares are finite.
_LARGEST = 1e100

#: Values are drawn in beyond so many spreads above the median, where there are so many of them.
_SPREADS = 3.0
_ENOUGH = 4

#: The spread of normal values is the distance from the median to this quantile, over its quantile's distance from 0.
_QUANTILE = 0.1
_NORMAL_QUANTILE = 1.2816


@dataclass(frozen=True)
class Scale:
    """How values were standardised: ``(value - mean) / deviation``."""

    mean: float
    deviation: float

    def __call__(self, values: Array) -> Array:
        return (values - self.mean) / self.deviation


def imputed(values: Array, levels: npt.NDArray[np.int64]) -> Array:
    """Values with the worst finite one, of the same level if there is any, in place of those that are not finite.

    A failure is thereby evidence against its surroundings, neither left out nor beyond what others have shown.

    Args:
        values: Lower is better; at least one is finite.
        levels: Rung level of each.
    """
    values = np.where(np.isfinite(values), np.clip(values, -_LARGEST, _LARGEST), np.nan)
    missing = np.isnan(values)
    for level in np.unique(levels[missing]):
        here = levels == level
        known = values[here & ~missing]
        values[here & missing] = (known if len(known) else values[~missing]).max()
    return values


def compressed(values: Array) -> Array:
    """Values whose bad outliers are drawn in to twice the limit; their order, and what is good or usual, stay.

    One diverged trial would otherwise make all differences that matter vanish beside its own.
    """
    if len(values) < _ENOUGH:
        return values
    median = float(np.median(values))
    spread = (median - float(np.quantile(values, _QUANTILE))) / _NORMAL_QUANTILE
    if spread <= 0:
        # At least every second value is the same: what is worse counts by the spacing of the rest.
        spread = (float(np.quantile(values, 1.0 - _QUANTILE)) - median) / _NORMAL_QUANTILE
        if spread <= 0:
            return values
    limit = median + _SPREADS * spread
    beyond = np.maximum(values - limit, 0.0)
    return np.minimum(values, limit) + beyond * spread / (spread + beyond / _SPREADS)


def standardised(values: Array) -> tuple[Array, Scale]:
    """Values with mean 0 and standard deviation 1 (all 0 if there is but one value), and how they were made."""
    mean, deviation = float(values.mean()), float(values.std())
    if not deviation > 1e-12 * max(abs(mean), 1e-300) or not math.isfinite(deviation):
        deviation = 1.0
    scale = Scale(mean, deviation)
    return scale(values), scale


def without_level(values: Array, levels: npt.NDArray[np.int64], trials: npt.NDArray[np.int64]) -> Array:
    """Values less what all trials gain from one level to the next: the median gain of those that have reached both.

    The means of levels would tell something else, since only good trials reach the high ones.

    Args:
        values: Of trials at levels, in order of the trials and of their levels.
        levels: Rung level of each.
        trials: Trial of each.
    """
    follows = (trials[1:] == trials[:-1]) & (levels[1:] == levels[:-1] + 1)
    gains = np.zeros(int(levels.max()) + 1)
    for level in range(1, len(gains)):
        both = np.flatnonzero(follows & (levels[1:] == level))
        if len(both):
            gains[level] = np.median(values[both + 1] - values[both])
    return values - np.cumsum(gains)[levels]


def objective_targets(
    values: Array, levels: npt.NDArray[np.int64], trials: npt.NDArray[np.int64] | None = None
) -> Array:
    """What stands for the objective: imputed, drawn in at each level, less the level's gain, standardised over all."""
    whole = imputed(values, levels)
    for level in np.unique(levels):
        here = levels == level
        whole[here] = compressed(whole[here])
    if trials is not None:
        whole = without_level(whole, levels, trials)
    return standardised(whole)[0]


def signed_logarithms(values: Array) -> Array:
    """The values on a scale that is logarithmic far from 0, and keeps their signs."""
    size = float(np.median(np.abs(values))) or float(np.abs(values).max()) or 1.0
    return np.sign(values) * np.log1p(np.abs(values) / size)
