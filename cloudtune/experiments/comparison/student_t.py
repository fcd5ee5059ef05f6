"""Quantiles of Student's t distribution: the interval of a mean of few runs needs them."""

from __future__ import annotations

import math
from functools import lru_cache

_BISECTIONS = 60


@lru_cache(maxsize=4096)
def two_sided_quantile(confidence: float, degrees: int) -> float:
    """The t within which a share ``confidence`` of the distribution lies: ``P(|T| < t) = confidence``.

    Found by bisection of the closed form for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).

    Args:
        confidence: Between 0 and 1.
        degrees: Degrees of freedom, at least 1.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _share_within(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def _share_within(angle: float, degrees: int) -> float:
    """``P(|T| < t)`` for ``angle = atan(t / sqrt(degrees))``."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for power in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
