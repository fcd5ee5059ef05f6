"""Checks of what users say about a surrogate, before it is asked for a curve."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

#: Options of scikit-learn's forest that have a name of ours, or none.
_OURS = {"n_estimators": "n_estimators", "random_state": "random_seed"}

#: The largest seed that scikit-learn takes.
_LARGEST_SEED = 2**32 - 1


def checked_number(name: str, value: Any, least: int, most: int | None, remedy: str) -> int:
    """An integer from ``least`` to ``most`` (None: without end); numpy's may be.

    Raises:
        ValueError: It is none, or out of range.
    """
    number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if number is None or number < least or (most is not None and number > most):
        reach = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {reach}, {remedy}, got {value!r}")
    return number


def checked_seed(random_seed: Any) -> int:
    """The seed of a forest.

    Raises:
        ValueError: scikit-learn does not take it.
    """
    return checked_number("random_seed", random_seed, 0, _LARGEST_SEED, "the seed of the forest")


def check_names(kind: str, made: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Returns if a kind of surrogate has all of these options, or says itself what it lacks.

    Raises:
        TypeError: It lacks one; the message has those that there are.
    """
    parameters = inspect.signature(made).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.name != "table"]
    for name in options:
        if name not in known:
            raise TypeError(f"the surrogate {kind!r} has no option {name!r}; it has {', '.join(known)}")


def check_forest_options(options: Mapping[str, Any]) -> None:
    """Returns if scikit-learn's ``RandomForestRegressor`` has all of these options.

    Raises:
        TypeError: It lacks one, or ``random_seed`` is meant.
    """
    if not options:
        return
    from sklearn.ensemble import RandomForestRegressor

    known = [name for name in inspect.signature(RandomForestRegressor).parameters if name not in _OURS]
    for name in options:
        if name in _OURS:
            raise TypeError(f"the surrogate 'random_forest' has no option {name!r}; use {_OURS[name]}")
        if name not in known:
            raise TypeError(
                f"the surrogate 'random_forest' has no option {name!r}; it has random_seed, n_estimators, and those of "
                f"scikit-learn's RandomForestRegressor: {', '.join(known)}"
            )
