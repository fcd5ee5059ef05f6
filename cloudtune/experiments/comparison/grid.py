"""Runs as steps, and all of them on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: A grid has no more points: figures have no more pixels.
MAX_POINTS = 1000
#: Numbers beyond it are those of runs that diverge, as infinite ones are: neither means nor axes can be made of them.
LARGEST = 1e100


@dataclass(frozen=True)
class Run:
    """The best value so far of one experiment.

    Args:
        name: Of the experiment.
        x: Where it gets better, rising.
        values: What it is from there on, as losses: falling.
        end: Where the last report lies.
        finished: Whether the experiment has: then the last value stays for ever. Else what comes is not known.
    """

    name: str
    x: Floats = field(repr=False)
    values: Floats = field(repr=False)
    end: float
    finished: bool


def best_so_far(name: str, x: Floats, losses: Floats, finished: bool) -> Run | None:
    """The steps of an experiment; None if it has no finite loss.

    Args:
        name: Of the experiment.
        x: Of its reports, in the order they came. It only grows: a report that seems to lie before the one that came
            before it counts from that one on.
        losses: Of its reports; what is not finite, or beyond :data:`LARGEST`, is never the best.
        finished: See :class:`Run`.
    """
    known = np.abs(x) < LARGEST
    x = np.maximum.accumulate(x[known])
    best = np.minimum.accumulate(np.where(np.abs(losses[known]) < LARGEST, losses[known], np.inf))
    steps = np.flatnonzero(best < np.append(np.inf, best[:-1]))
    if not len(steps):
        return None
    # Of several steps at one place, the last is what is best there.
    steps = steps[np.append(x[steps][1:] > x[steps][:-1], True)]
    return Run(name, x[steps], best[steps], float(x[-1]), finished)


def common_grid(runs: Sequence[Run], max_points: int = MAX_POINTS) -> Floats:
    """Where any of the runs changes, and where the last of them ends, rising.

    If these are too many, some of them: half chosen evenly by their number, which keeps the beginning of curves where
    most happens, and half by place. What is between them shows from the next one on.
    """
    places = np.unique(np.concatenate([[run.end for run in runs], *(run.x for run in runs)]))
    if len(places) <= max_points:
        return places
    half = max_points // 2
    by_number = np.linspace(0, len(places) - 1, half).round().astype(np.intp)
    by_place = np.searchsorted(places, np.linspace(places[0], places[-1], max_points - half))
    chosen: Floats = places[np.union1d(by_number, by_place)]
    return chosen


def on_grid(run: Run, grid: Floats) -> Floats:
    """The value of a run at each point of a grid; NaN before its first and, if it has not finished, after its end."""
    index = np.searchsorted(run.x, grid, side="right") - 1
    unknown = index < 0
    if not run.finished:
        unknown |= grid > run.end
    return np.where(unknown, np.nan, run.values[index])
