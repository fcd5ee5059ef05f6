"""Minimises smooth functions in a box from several starts at once, by BFGS (Nocedal and Wright 2006, chapter 6).

In few dimensions this needs fewer evaluations than methods of limited memory, each start has a curvature of its own,
and all starts are evaluated together, which hardly takes longer than one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cloudtune.optimizer.searchers.bayesian.encoder import Array

#: From points, shape ``(k, d)``, and the numbers of their starts, shape ``(k,)``, to values and gradients.
Objective: TypeAlias = Callable[[Array, npt.NDArray[np.int64]], tuple[Array, Array]]

#: Share of the decrease which a step's slope promises that must come true (Armijo's rule).
_SUFFICIENT = 1e-4
_MAX_SHORTENINGS = 12


def minimise(
    objective: Objective,
    starts: Array,
    lower: Array,
    upper: Array,
    first_step: float,
    max_steps: int,
    tolerance: float = 1e-6,
) -> tuple[Array, Array]:
    """The lowest points found, shape ``(k, d)``, and their values, shape ``(k,)``.

    Args:
        objective: Values that are not finite count as too high: steps to them are shortened.
        starts: Shape ``(k, d)``, within the box.
        lower: Of the box, shape ``(d,)``.
        upper: Of the box, shape ``(d,)``.
        first_step: Length of the longest component of the first step.
        max_steps: At most so many.
        tolerance: A start is done when a step has lowered its value by no more than this.
    """
    points = starts.copy()
    values, gradients = objective(points, np.arange(len(points)))
    curvature = np.zeros((len(points), points.shape[1], points.shape[1]))
    fresh = np.ones(len(points), dtype=bool)
    active = np.flatnonzero(np.isfinite(values))
    for _ in range(max_steps):
        if not len(active):
            break
        x, f, g = points[active], values[active], gradients[active]
        free = ~(((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)))
        reduced = np.where(free, g, 0.0)
        steepest = -reduced * (first_step / np.maximum(np.abs(reduced).max(1), 1e-300))[:, None]
        newton = -np.einsum("kij,kj->ki", curvature[active], reduced) * free
        direction = np.where(fresh[active, None], steepest, newton)
        moved, new_f, new_g = _line_search(objective, active, x, f, g, direction, lower, upper)
        better = new_f < f
        _update(curvature, fresh, active[better], (moved - x)[better], (new_g - g)[better])
        points[active[better]], values[active[better]], gradients[active[better]] = (
            moved[better],
            new_f[better],
            new_g[better],
        )
        # Where a quasi-Newton step does not help, steepest descent is tried once more.
        again = ~better & ~fresh[active]
        fresh[active[again]] = True
        active = active[(better & (f - new_f > tolerance)) | again]
    return points, values


def _line_search(
    objective: Objective,
    active: npt.NDArray[np.int64],
    x: Array,
    f: Array,
    g: Array,
    direction: Array,
    lower: Array,
    upper: Array,
) -> tuple[Array, Array, Array]:
    """Steps along the directions, bent at the bounds, that are shortened until they lower the values enough."""
    lengths = np.ones(len(x))
    moved, new_f, new_g = x.copy(), f.copy(), g.copy()
    open_ = np.arange(len(x))
    for _ in range(_MAX_SHORTENINGS):
        trial = np.clip(x[open_] + lengths[open_, None] * direction[open_], lower, upper)
        trial_f, trial_g = objective(trial, active[open_])
        promised = ((trial - x[open_]) * g[open_]).sum(1)
        good = np.isfinite(trial_f) & (trial_f <= f[open_] + _SUFFICIENT * promised) & (promised < 0)
        done = open_[good]
        moved[done], new_f[done], new_g[done] = trial[good], trial_f[good], trial_g[good]
        # The minimum of the parabola through value, slope and new value, within limits.
        rise = np.where(np.isfinite(trial_f), trial_f - f[open_] - promised, np.inf)[~good]
        shorter = np.clip(-0.5 * promised[~good] / np.maximum(rise, 1e-300), 0.1, 0.5)
        open_ = open_[~good]
        lengths[open_] *= shorter
        if not len(open_):
            break
    return moved, new_f, new_g


def _update(
    curvature: Array, fresh: npt.NDArray[np.bool_], which: npt.NDArray[np.int64], steps: Array, changes: Array
) -> None:
    """The inverse Hessians after steps that changed the gradients so; unchanged where the function is not convex."""
    product = (steps * changes).sum(1)
    convex = product > 1e-10 * np.sqrt((steps**2).sum(1) * (changes**2).sum(1))
    which, s, y, product = which[convex], steps[convex], changes[convex], product[convex]
    identity = np.eye(curvature.shape[1])
    begins = fresh[which]
    curvature[which[begins]] = (product[begins] / (y[begins] ** 2).sum(1))[:, None, None] * identity
    fresh[which] = False
    rho = (1.0 / product)[:, None, None]
    left = identity - rho * s[:, :, None] * y[:, None, :]
    curvature[which] = left @ curvature[which] @ left.transpose(0, 2, 1) + rho * s[:, :, None] * s[:, None, :]
