"""How certain a mean over seeds is: the percentile bootstrap (Efron and Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean, and the ends of its interval; both NaN where there are fewer than two values."""

    centre: float
    lower: float
    upper: float


def interval(values: npt.ArrayLike, random_seed: int = 0) -> Interval:
    """The mean of values, one a seed, and its 95 % interval.

    Of two methods that were given the same seeds, the values are their differences: then the bootstrap is a paired one.

    Raises:
        ValueError: There are no values.
    """
    known = np.asarray(values, dtype=np.float64)
    if known.ndim != 1 or not len(known):
        raise ValueError(f"one value for each seed is needed, got an array of shape {known.shape}")
    centre = float(known.mean())
    if len(known) == 1:
        return Interval(centre, float("nan"), float("nan"))
    drawn = np.random.default_rng(random_seed).integers(len(known), size=(RESAMPLES, len(known)))
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(known[drawn].mean(1), [tail, 1 - tail])
    return Interval(centre, float(lower), float(upper))
