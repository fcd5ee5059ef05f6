"""The functions with which a config space is written down: ``{"lr": loguniform(1e-4, 1), "layers": randint(1, 4)}``.

Each checks its arguments and raises :class:`~cloudtune.config_domains.ConfigSpaceError` where they make no domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cloudtune.config_categories import Categorical, Ordinal, default_kind
from cloudtune.config_domains import Domain
from cloudtune.config_numbers import FiniteRange, Float, Integer


def uniform(lower: float, upper: float) -> Float:
    """Real numbers in [lower, upper], uniform."""
    return Float(lower, upper)


def loguniform(lower: float, upper: float) -> Float:
    """Real numbers in [lower, upper], with uniform logarithm; ``lower`` above 0. For learning rates and penalties."""
    return Float(lower, upper, "log")


def reverseloguniform(lower: float, upper: float) -> Float:
    """Real numbers x in [lower, upper] with uniform -log(1 - x); 0 <= lower < upper < 1. For decay rates near 1."""
    return Float(lower, upper, "reverselog")


def randint(lower: int, upper: int) -> Integer:
    """Integers from lower to upper, both included, all equally likely."""
    return Integer(lower, upper)


def lograndint(lower: int, upper: int) -> Integer:
    """Integers from lower to upper, both included, with uniform logarithm (rounded); ``lower`` at least 1."""
    return Integer(lower, upper, "log")


def choice(categories: Sequence[Any]) -> Categorical:
    """One of several values without an order, all equally likely.

    Lists and dictionaries are possible values; a tuple arrives in the trial as a list.
    """
    return Categorical(categories)  # type: ignore[arg-type]  # any sequence becomes a tuple there


def ordinal(categories: Sequence[Any], kind: str | None = None) -> Ordinal:
    """One of several values with an order.

    Args:
        categories: The values, in order.
        kind: ``"equal"``: equally likely and equally far apart; ``"nn"``: numbers, the nearest to a uniform point of
            the range, so that values beside wide gaps are likelier; ``"nn-log"``: likewise in the logarithm. By default
            ``"nn"`` for strictly increasing numbers, else ``"equal"``.
    """
    return Ordinal(categories, default_kind(categories) if kind is None else kind)  # type: ignore[arg-type]


def logordinal(categories: Sequence[Any]) -> Ordinal:
    """One of several increasing positive numbers: the nearest, in the logarithm, to a log-uniform point."""
    return Ordinal(categories, "nn-log")  # type: ignore[arg-type]


def finrange(lower: float, upper: float, size: int, cast_int: bool = False) -> FiniteRange:
    """``size`` equally spaced numbers from lower to upper, both included, equally likely; integers if ``cast_int``."""
    return FiniteRange(lower, upper, size, cast_int)


def logfinrange(lower: float, upper: float, size: int, cast_int: bool = False) -> FiniteRange:
    """Like :func:`finrange`, equally spaced in the logarithm; ``lower`` above 0."""
    return FiniteRange(lower, upper, size, cast_int, "log")


#: By the names under which they are written in files.
CONSTRUCTORS: dict[str, Callable[..., Domain]] = {
    "uniform": uniform,
    "loguniform": loguniform,
    "reverseloguniform": reverseloguniform,
    "randint": randint,
    "lograndint": lograndint,
    "choice": choice,
    "ordinal": ordinal,
    "logordinal": logordinal,
    "finrange": finrange,
    "logfinrange": logfinrange,
}
