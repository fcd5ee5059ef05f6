"""Which points of a curve are drawn where there is no room for all."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudtune.experiments.report.study import Values

Indices = np.ndarray[Any, np.dtype[np.intp]]


def thinned(values: Values, most: int) -> Indices:
    """Points that show how a curve runs: its ends, and of equal stretches of it the lowest and the highest point.

    Args:
        values: Of the curve, in their order; NaN where there is none.
        most: So many points at most, from 2.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    stretches = np.array_split(np.arange(1, count - 1), max(1, (most - 2) // 2)) if most >= 4 else []
    kept = {0, count - 1}
    for stretch in stretches:
        within = values[stretch]
        if np.isnan(within).all():
            kept.add(int(stretch[0]))
        else:
            kept.update((int(stretch[np.nanargmin(within)]), int(stretch[np.nanargmax(within)])))
    return np.array(sorted(kept), dtype=np.intp)
