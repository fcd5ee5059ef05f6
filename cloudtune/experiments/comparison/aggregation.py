"""Centre and interval of the values that several runs have at the same point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudtune.experiments.comparison.student_t import two_sided_quantile

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.intp]]

#: Numbers that are held at once while draws are evaluated: 32 MB.
_AT_ONCE = 4_000_000
#: A bootstrap of its own is drawn for each number of values, and for no more of them than these.
_MAX_NUMBERS = 24


@dataclass(frozen=True)
class Aggregate:
    """At each point the centre of the values, the ends of its interval, and how many values there are."""

    centre: Floats
    lower: Floats
    upper: Floats
    counts: Ints


def aggregate(
    values: Floats, mode: str = "iqm_bootstrap", confidence: float = 0.95, num_draws: int = 1000, random_seed: int = 0
) -> Aggregate:
    """Aggregates over runs, at each point for itself.

    Args:
        values: A row for each run, a column for each point. NaN: the run has no value there, and does not count.
        mode: ``"iqm_bootstrap"``: interquartile mean, and the interval that its bootstrap draws leave when the outer
            ones are cut off (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical
            precipice", https://arxiv.org/abs/2108.13264); as there, a quarter of the runs is rounded down.
            ``"mean_and_ci"``: mean, and Student's interval for it. Both intervals are NaN for a single run.
            ``"median_percentiles"``: median, 25th and 75th percentile.
        confidence: Of the first two intervals.
        num_draws: Of the bootstrap.
        random_seed: Of the bootstrap.

    Returns:
        All of it NaN where no run has a value.
    """
    ordered = np.sort(values, axis=0)  # NaN come last
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    centre, lower, upper = (np.full(values.shape[1], np.nan) for _ in range(3))
    for number in np.unique(counts[counts > 0]).tolist():
        points = counts == number
        known = ordered[:number, points]
        if mode == "median_percentiles":
            lower[points], centre[points], upper[points] = np.quantile(known, [0.25, 0.5, 0.75], axis=0)
        elif mode == "mean_and_ci":
            centre[points], lower[points], upper[points] = mean_and_interval(known, confidence)
        else:
            centre[points], lower[points], upper[points] = iqm_and_interval(known, confidence, num_draws, random_seed)
    return Aggregate(centre, lower, upper, counts)


def shown_points(values: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The points from where on all runs have had a value that ever have one, as long as at least half still have one.

    What is best so far in each run never gets worse. Over runs it would seem to, where one with a bad first value joins
    those that are at work already: so a curve begins with the last of them. Where hundreds of runs end one after
    another, only some of these points: those with one of a few numbers of values, among them the greatest.
    """
    known = ~np.isnan(values)
    counts = np.count_nonzero(known, axis=0)
    shown: np.ndarray[Any, np.dtype[np.bool_]] = 2 * counts >= len(values)
    begun = known[known.any(axis=1)]
    shown[: int(begun.argmax(axis=1).max(initial=0))] = False
    numbers = np.unique(counts[shown])
    if len(numbers) > _MAX_NUMBERS:
        chosen = np.linspace(0, len(numbers) - 1, _MAX_NUMBERS).round().astype(np.intp)
        shown &= np.isin(counts, numbers[chosen])
    return shown


def mean_and_interval(values: Floats, confidence: float) -> tuple[Floats, Floats, Floats]:
    """Mean of each column, and the ends of Student's interval; NaN if there is a single row."""
    number = len(values)
    mean = values.mean(axis=0)
    if number == 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    error = values.std(axis=0, ddof=1) / np.sqrt(number) * two_sided_quantile(confidence, number - 1)
    return mean, mean - error, mean + error


def iqm_and_interval(ordered: Floats, confidence: float, num_draws: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Interquartile mean of each column, and the ends of its bootstrap interval; NaN if there is a single row.

    Args:
        ordered: Rising in each column, without NaN.
        confidence: Of the interval.
        num_draws: Of the bootstrap.
        seed: Of the bootstrap.
    """
    number = len(ordered)
    cut = number // 4
    iqm = ordered[cut : number - cut].mean(axis=0)
    if number == 1:
        return iqm, np.full_like(iqm, np.nan), np.full_like(iqm, np.nan)
    weights = draw_weights(number, num_draws, seed)
    ends = np.empty((2, ordered.shape[1]))
    for part in _parts(ordered.shape[1], max(1, _AT_ONCE // num_draws)):
        drawn = weights @ ordered[:, part]
        ends[:, part] = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return iqm, ends[0], ends[1]


def draw_weights(number: int, num_draws: int, seed: int) -> Floats:
    """For each draw, the weight in its interquartile mean of the lowest value, the second lowest, and so on.

    A draw takes ``number`` of the runs, with replacement. How often each is taken does not depend on the order the runs
    are in, so it may be drawn for the values by rank: then nothing has to be sorted for each draw, and one set of
    weights serves all points.
    """
    random = np.random.default_rng([seed, number])
    taken = random.integers(0, number, size=(num_draws, number))
    taken += np.arange(num_draws)[:, np.newaxis] * number
    times_taken = np.bincount(taken.ravel(), minlength=num_draws * number).reshape(num_draws, number)
    cut = number // 4
    # Of the values of a draw in order, those before this rank and those that count.
    within = np.clip(np.cumsum(times_taken, axis=1), cut, number - cut) - cut
    within[:, 1:] -= within[:, :-1].copy()
    return within / (number - 2 * cut)


def _parts(length: int, size: int) -> Iterator[slice]:
    return (slice(begin, begin + size) for begin in range(0, length, size))
