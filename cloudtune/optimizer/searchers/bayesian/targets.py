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

#: A gap is vast if it is so many times the range of the values before it, and that by chance only so often.
_GAP = 30.0
_CHANCE = 1e-6

#: Differences below this share of a value may be roundings of metrics in single precision.
_ROUNDING = 1e-6

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


def usual(values: Array) -> Array:
    """The best values up to the first gap that is vast beside their own range: all of them, if there is none.

    If k different values lay anywhere up to the next one, all would be within 1/c of that way with a probability of
    c ** (1 - k). A gap of the factor c is vast if this is below :data:`_CHANCE`, and c above :data:`_GAP`. Where values
    differ by roundings only, there is none.
    """
    distinct = np.unique(values)
    ranges = distinct - distinct[0]
    vast = np.maximum(_GAP, _CHANCE ** (-1.0 / np.arange(1, len(distinct) - 1)))
    gaps = (ranges[2:] > vast * ranges[1:-1]) & (ranges[1:-1] > _ROUNDING * abs(distinct[0]))
    return values[values <= distinct[1 + gaps.argmax()]] if gaps.any() else values


def compressed(values: Array, among: Array | None = None) -> Array:
    """Values whose bad outliers are drawn in to twice the limit; their order, and what is good or usual, stay.

    One diverged trial would otherwise make all differences that matter vanish beside its own, and so would many: the
    limit is that of the values before the first vast gap, however many there are beyond it.

    Args:
        values: Finite; lower is better.
        among: Values that the limit is of; None: these values.
    """
    known = values if among is None else among
    group = usual(known)
    if len(group) == len(known) < _ENOUGH:
        return values
    median = float(np.median(group))
    spread = (median - float(np.quantile(group, _QUANTILE))) / _NORMAL_QUANTILE
    if spread <= 0:
        # At least every second value is the same: what is worse counts by the spacing of the rest.
        spread = (float(np.quantile(group, 1.0 - _QUANTILE)) - median) / _NORMAL_QUANTILE
    if len(group) < len(known):
        # What lies beyond comes to the limit, all of it: that must not be far off, however skewed the group is.
        deviation = float(group.std())
        spread = min(spread, deviation) if spread > 0 else deviation
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


def compressed_by_level(values: Array, levels: npt.NDArray[np.int64]) -> Array:
    """Values compressed at each level; those that are not finite are NaN.

    Few values do not tell what is usual: where a level has but few, those of the levels below count as well.
    """
    known = np.where(np.isfinite(values), np.clip(values, -_LARGEST, _LARGEST), np.nan)
    drawn_in: Array = known.copy()
    finite = ~np.isnan(known)
    for level in np.unique(levels[finite]):
        here = among = finite & (levels == level)
        for lower in range(int(level) - 1, -1, -1):
            if np.count_nonzero(among) >= _ENOUGH:
                break
            among = among | (finite & (levels == lower))
        drawn_in[here] = compressed(known[here], known[among])
    return drawn_in


def objective_targets(
    values: Array, levels: npt.NDArray[np.int64], trials: npt.NDArray[np.int64] | None = None
) -> Array:
    """What stands for the objective: drawn in at each level, imputed, less the level's gain, standardised over all.

    Failures are imputed last: else they would tell what is usual, and be as far away as the worst outlier.
    """
    whole = imputed(compressed_by_level(values, levels), levels)
    if trials is not None:
        whole = without_level(whole, levels, trials)
    return standardised(whole)[0]


def signed_logarithms(values: Array) -> Array:
    """The values on a scale that is logarithmic far from 0, and keeps their signs."""
    size = float(np.median(np.abs(values))) or float(np.abs(values).max()) or 1.0
    return np.sign(values) * np.log1p(np.abs(values) / size)
