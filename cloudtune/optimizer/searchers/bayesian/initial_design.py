"""Configurations that are evenly spread: a scrambled Sobol sequence.

Source: Owen 1998, "Scrambling Sobol' and Niederreiter-Xing Points" (Journal of Complexity 14).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cloudtune.optimizer.searchers.bayesian.encoder import Array


def sobol(dimension: int, count: int, rng: np.random.Generator, begin: int = 0) -> Array:
    """Points ``begin`` to ``begin + count`` of a sequence in the unit cube, below 1, shape ``(count, dimension)``.

    Args:
        dimension: Of the cube.
        count: Number of points.
        rng: One number of it decides how the sequence is scrambled.
        begin: Number of the first point.
    """
    seed = int(rng.integers(2**62))
    if dimension == 0:
        return np.zeros((count, 0))
    engine = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=seed)
    if begin:
        engine.fast_forward(begin)
    drawn: Array = engine.draw(count, dtype=torch.float64).numpy()
    return np.minimum(drawn, np.nextafter(1.0, 0.0))


def sobol_normals(dimension: int, count: int, rng: np.random.Generator) -> Any:
    """Standard normal points, evenly spread, as a tensor of shape ``(dimension, count)``."""
    points = torch.from_numpy(sobol(dimension, count, rng)).clamp(1e-10, 1.0 - 1e-10)
    return torch.special.ndtri(points).T.contiguous()
