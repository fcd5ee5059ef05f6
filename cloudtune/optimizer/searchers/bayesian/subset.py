"""Which observations a Gaussian process is fitted to where there are more than it is meant to take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cloudtune.optimizer.searchers.bayesian.encoder import Array

Indices = npt.NDArray[np.int64]


def chosen(rows: Array, values: Array, levels: Indices, limit: int) -> Indices:
    """Numbers, in order, of at most ``limit`` observations.

    Higher levels come first, as they tell more. Of the level that does not fit, one half is what is best and the other
    is spread as widely as possible: each is the one farthest from all that were chosen before it.

    Args:
        rows: Configurations, shape ``(n, d)``.
        values: Lower is better, shape ``(n,)``.
        levels: Rung level of each, shape ``(n,)``.
        limit: At least 1.
    """
    if len(rows) <= limit:
        return np.arange(len(rows))
    kept: list[int] = []
    for level in sorted(set(levels.tolist()), reverse=True):
        here = np.flatnonzero(levels == level)
        room = limit - len(kept)
        if len(here) > room:
            if room:
                kept += here[_best_and_spread(rows[here], values[here], room)].tolist()
            break
        kept += here.tolist()
    return np.array(sorted(kept), dtype=np.int64)


def _best_and_spread(rows: Array, values: Array, count: int) -> Indices:
    order = np.argsort(values, kind="stable")
    taken = order[: (count + 1) // 2].tolist()
    nearest = np.full(len(rows), np.inf)
    for one in taken:
        np.minimum(nearest, ((rows - rows[one]) ** 2).sum(1), out=nearest)
    nearest[taken] = -1.0
    while len(taken) < count:
        one = int(nearest.argmax())
        taken.append(one)
        np.minimum(nearest, ((rows - rows[one]) ** 2).sum(1), out=nearest)
        nearest[taken] = -1.0
    return np.array(taken, dtype=np.int64)
