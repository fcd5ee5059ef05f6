"""Resource levels at which trials are compared: what users say about them, checked and completed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

from cloudtune.optimizer.schedulers.rungs import rung_levels


def max_resource(config_space: Mapping[str, Any], max_resource_attr: str | None, max_t: int | None) -> int:
    """The maximum resource, from the constant of the config space or from ``max_t``.

    Raises:
        ValueError: Neither is there, or they contradict each other, or one is no positive integer.
    """
    example = "for instance 'max_epochs': 27 in the config space and max_resource_attr='max_epochs'"
    if max_t is not None and not is_positive_integer(max_t):
        raise ValueError(f"max_t must be a positive integer, got {max_t!r}")
    if max_resource_attr is None:
        if max_t is None:
            raise ValueError(f"the maximum resource is not known; pass max_resource_attr, {example}, or else max_t=27")
        return int(max_t)
    if max_resource_attr not in config_space:
        raise ValueError(
            f"max_resource_attr {max_resource_attr!r} is not in the config space, which has {', '.join(config_space)}; "
            f"add it as a constant, {example}"
        )
    constant = config_space[max_resource_attr]
    if not is_positive_integer(constant):
        raise ValueError(
            f"config_space[{max_resource_attr!r}] (max_resource_attr) must be a positive integer constant, "
            f"got {constant!r}; {example}"
        )
    if max_t is not None and max_t != constant:
        raise ValueError(
            f"max_t={max_t} contradicts config_space[{max_resource_attr!r}]={constant} (max_resource_attr); "
            "leave max_t out"
        )
    return int(constant)


def resource_levels(given: Sequence[int] | None, grace_period: int, reduction_factor: float, max_t: int) -> list[int]:
    """The levels at which trials are compared, and ``max_t``: the geometric ones, unless levels below it are given.

    Raises:
        ValueError: There are no such levels; the message names the argument.
    """
    if given is None:
        if not is_positive_integer(grace_period):
            raise ValueError(f"grace_period must be a positive integer, got {grace_period!r}")
        return rung_levels(int(grace_period), reduction_factor, max_t)
    levels = list(given) if isinstance(given, Iterable) else None
    if levels is None or not all(map(is_positive_integer, levels)) or any(b <= a for a, b in pairwise(levels)):
        raise ValueError(f"rung_levels must be positive integers in increasing order, got {given!r}")
    if levels and levels[-1] >= max_t:
        raise ValueError(
            f"rung_levels must be below the maximum resource {max_t}, got {given!r}; leave out those from {max_t} on"
        )
    return [*(int(level) for level in levels), max_t]


def check_brackets(brackets: int, levels: Sequence[int]) -> int:
    """The number of brackets, which begin at different levels.

    Raises:
        ValueError: It is not an integer from 1 to the number of levels.
    """
    if not is_positive_integer(brackets) or brackets > len(levels):
        raise ValueError(
            f"brackets must be an integer from 1 to {len(levels)}, the number of levels {', '.join(map(str, levels))}; "
            f"got {brackets!r}"
        )
    return int(brackets)


def is_positive_integer(value: Any) -> bool:
    """Whether a value counts something; numpy's integers do, True does not."""
    return isinstance(value, Integral) and value is not True and int(value) > 0


def below_its_level(
    trial_id: int, result: Mapping[str, Any], resource_attr: str, max_resource_attr: str, level: int
) -> str:
    """What to say when a script ends by itself before the level that it was told."""
    return (
        f"trial {trial_id} was told {max_resource_attr}={level}, but its last report "
        f"has {resource_attr}={result[resource_attr]}: it counts as the result at {level}, and so do others "
        f"that end early; reports should count {resource_attr!r} (resource_attr) from 1, and have the level that a "
        "script was told"
    )


def unusable_report(trial_id: int, result: Mapping[str, Any], resource_attr: str, metrics: Sequence[str]) -> ValueError:
    """What to raise when a report lacks the resource or a metric, or has no number there."""
    needed = f"{resource_attr!r} (resource_attr) and {', '.join(map(repr, metrics))} (metric)"
    shown = ", ".join(f"{key}={value!r}" for key, value in result.items() if not key.startswith("st_"))
    return ValueError(
        f"trial {trial_id} must report {needed} as numbers, but reported {shown or 'nothing'}; "
        "correct the script or the scheduler's arguments"
    )
