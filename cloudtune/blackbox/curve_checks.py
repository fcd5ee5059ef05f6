"""Checks of a curve that a blackbox gives: each message names the configuration, the fault and the remedy."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

from cloudtune.blackbox.blackbox import Blackbox, Curve
from cloudtune.config_domains import is_number, plain
from cloudtune.errors import CloudtuneError

_PLAIN = {float, int, type(None)}


class WrongCurve(CloudtuneError):
    """A blackbox gives a curve that no training makes, for instance one on which time goes back."""


def checked_curve(blackbox: Blackbox, config: Mapping[str, Any], curve: Curve) -> Curve:
    """The curve of plain numbers, where it may hold arrays or numpy's numbers; the same object if it has none.

    Args:
        blackbox: Whose curve it is.
        config: Whose it is.
        curve: To check.

    Raises:
        WrongCurve: It has no report and no failure; its columns differ in length; resources are no whole numbers from 1
            on, or do not increase; or a time is negative, not finite, or not after the one before.
    """
    if not isinstance(curve, Curve):
        raise _wrong(blackbox, config, f"it must be a Curve, got {curve!r}")
    if curve.is_sound:
        return curve
    resources, elapsed = _plain(curve.resources), _plain(curve.elapsed)
    metrics = {name: _plain(column) for name, column in curve.metrics.items()}
    if float in set(map(type, resources)):
        resources = [int(value) if type(value) is float and value.is_integer() else value for value in resources]
    fault = _lengths(resources, elapsed, metrics, curve.failure) or _resources(resources) or _times(elapsed)
    if fault:
        raise _wrong(blackbox, config, fault)
    if (
        resources is curve.resources
        and elapsed is curve.elapsed
        and all(column is curve.metrics[name] for name, column in metrics.items())
    ):
        return curve
    return Curve(resources, metrics, elapsed, curve.failure)


def _plain(column: Any) -> Any:
    """A list of plain numbers; the very same if it is one."""
    if type(column) is list and set(map(type, column)) <= _PLAIN:
        return column
    return [plain(value) for value in column]


def _lengths(resources: list[Any], elapsed: list[Any], metrics: Mapping[str, list[Any]], failure: str) -> str:
    if not resources and not failure:
        return "it has no report; give at least one, or the reason why the trial fails before (Curve.failure)"
    columns = {"elapsed": elapsed, **metrics}
    for name, column in columns.items():
        if len(column) != len(resources):
            return (
                f"it has {len(resources)} resources but {len(column)} values of {name!r}; give one for each report, "
                "None where a report lacks a metric"
            )
    return ""


def _resources(resources: list[Any]) -> str:
    types = set(map(type, resources))
    if types <= {int} and (not resources or resources[0] >= 1) and _increase(resources):
        return ""
    if types - {int}:
        odd = next(resource for resource in resources if type(resource) is not int)
        return f"its resource {odd!r} is no whole number; count reports instead"
    if resources[0] < 1:
        return (
            f"it begins at resource {resources[0]}, and must at 1 or more; leave out what was measured before training"
        )
    report = next(report for report in range(1, len(resources)) if resources[report] <= resources[report - 1])
    return (
        f"resources must increase, but {resources[report]} at report {report} follows {resources[report - 1]}; sort "
        "reports by resource and keep the last of each"
    )


def _times(elapsed: list[Any]) -> str:
    # NaN is below nothing, and nothing below it.
    if set(map(type, elapsed)) <= {int, float} and (
        not elapsed or (elapsed[0] >= 0 and elapsed[-1] < math.inf and _increase(elapsed))
    ):
        return ""
    before = -math.inf
    for report, seconds in enumerate(elapsed):
        if not is_number(seconds) or not math.isfinite(seconds):
            fault = "is not finite"
        elif seconds < 0:
            fault = "is negative"
        elif seconds <= before:
            fault = "is not later than the one before"
        else:
            before = seconds
            continue
        return f"the time {seconds!r} at report {report} {fault}; give increasing seconds from the start of training"
    return ""


def _increase(column: list[Any]) -> bool:
    return all(map(operator.lt, column, column[1:]))


def _wrong(blackbox: Blackbox, config: Mapping[str, Any], fault: str) -> WrongCurve:
    asked = {name: config.get(name) for name in blackbox.config_space}
    return WrongCurve(f"the curve of {type(blackbox).__name__} for the configuration {asked} is wrong: {fault}")
