"""Checks of what a table is made of: each message names the row or column and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cloudtune.blackbox.time_model import ConstantTime
from cloudtune.config_domains import ConfigSpaceError, Domain, plain
from cloudtune.config_validation import plain_config_space, validate_config_space
from cloudtune.constants import CONFIG_PREFIX, RESERVED_PREFIX, TRIAL_ID

_ELAPSED_AXES = ("n_configs", "n_seeds", "n_resources")
_VALUES_AXES = (*_ELAPSED_AXES, "n_metrics")

#: From here on floats do not hold every whole number.
_TOO_LARGE = 2**53

Number = TypeVar("Number", bound=np.number[Any])


def checked_space(config_space: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the config space of a blackbox.

    Raises:
        ConfigSpaceError: It has no domain, or a constant, or is none at all.
    """
    validate_config_space(config_space)
    space = plain_config_space(config_space)
    if not space:
        raise ConfigSpaceError("config space: a blackbox needs at least one parameter; name a domain for each column")
    for name, value in space.items():
        if not isinstance(value, Domain):
            raise ConfigSpaceError(
                f"config space: parameter {name!r} is the constant {value!r}; a blackbox has domains only: leave it "
                "out, and give it in the config space of the experiment"
            )
    return space


def checked_columns(space: Mapping[str, Domain], configs: Any) -> dict[str, tuple[Any, ...]]:
    """One tuple of values per parameter, in the order of the space; each value is its domain's own.

    Args:
        space: Of domains.
        configs: A data frame, or a mapping of names to columns, of one length.

    Raises:
        ValueError: A column is missing or too much, or of another length.
        ConfigSpaceError: A value is not in its domain.
    """
    names = [str(name) for name in configs]
    for name in space:
        if name not in names:
            raise ValueError(f"configs have no column for parameter {name!r}; they have {', '.join(names)}")
    for name in names:
        if name not in space:
            raise ValueError(
                f"configs have a column {name!r} that is not in the config space; drop it, or add a domain"
            )
    columns = {name: [plain(value) for value in configs[name]] for name in space}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns of configs must have the same length, got {lengths}")
    if not next(iter(lengths.values())):
        raise ValueError("configs are empty; a table needs at least one configuration")
    return {name: _cast(name, space[name], column) for name, column in columns.items()}


def _cast(name: str, domain: Domain, column: Sequence[Any]) -> tuple[Any, ...]:
    known: dict[Any, Any] = {}
    values = []
    for row, value in enumerate(column):
        try:
            if isinstance(value, (list, dict, tuple)):
                values.append(domain.cast(value))
                continue
            # By type too: True would be found for 1.
            key = (type(value), value)
            if key not in known:
                known[key] = domain.cast(value)
        except ConfigSpaceError as error:
            raise ConfigSpaceError(f"configs: row {row}, parameter {name!r}: {error}") from error
        values.append(known[key])
    return tuple(values)


def checked_values(values: npt.ArrayLike, sizes: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
    """A read-only array of single or double precision, of shape ``(n_configs, n_seeds, n_resources, n_metrics)``.

    Args:
        values: Any numbers; NaN and infinities stay.
        sizes: What is known of the shape: number of configs, of resources and of metrics.

    Raises:
        ValueError: The shape is another, or they are complex numbers.
    """
    array = _real("values", values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    n_configs, n_resources, n_metrics = sizes
    n_seeds = array.shape[1] if array.ndim == 4 else 1
    _check_shape("values", array, (n_configs, n_seeds, n_resources, n_metrics), _VALUES_AXES)
    if n_seeds < 1:
        raise ValueError("values have no seed; each configuration needs at least one repetition")
    return _read_only(array)


def checked_resources(resources: Sequence[int] | npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Resources of the reports of a curve, read-only.

    Raises:
        ValueError: They are no finite whole numbers from 1 on, or do not increase.
    """
    array = _real("resources", resources)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"resources must be a list of at least one number, got shape {array.shape}")
    if array.dtype.kind not in "iu" and not (array.dtype.kind == "f" and bool(np.all(array == np.floor(array)))):
        raise ValueError(f"resources must be whole numbers, got {array.tolist()[:5]}; count reports instead")
    beyond = array[~(array < _TOO_LARGE)]
    if beyond.size:
        raise ValueError(f"resources must be finite and below 2**53, got {beyond[0]}; count reports instead")
    if array[0] < 1:
        raise ValueError(
            f"resources must begin at 1 or more, got {array[0]}; leave out what was measured before training"
        )
    whole = array.astype(np.int64)
    _check_increasing("resources", whole)
    return _read_only(whole)


def checked_elapsed(elapsed: npt.ArrayLike, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """Seconds of training until each report, of shape ``(n_configs, n_seeds, n_resources)``, read-only.

    Raises:
        ValueError: The shape is another, or a time is not finite, negative, or not after the one before.
    """
    array = _real("elapsed", elapsed).astype(np.float64)
    _check_shape("elapsed", array, shape, _ELAPSED_AXES)
    for bad, what in (
        (~np.isfinite(array), "is not finite"),
        (array < 0, "is negative"),
        (np.diff(array, axis=2, prepend=-1.0) <= 0, "is not later than the one before"),
    ):
        if bad.any():
            config, seed, report = (int(index) for index in np.argwhere(bad)[0])
            raise ValueError(
                f"elapsed: the time {array[config, seed, report]:g} at row {config}, seed {seed}, report {report} "
                f"{what}; give increasing seconds from the start of training, or a time_model instead"
            )
    return _read_only(array)


def checked_times(time_model: ConstantTime, resources: npt.NDArray[np.int64]) -> list[float]:
    """Seconds of training until each report by a model.

    Raises:
        ValueError: There are more than floats can hold, or a start-up so long that they cannot tell reports apart.
    """
    with np.errstate(over="ignore"):
        times = time_model.elapsed(resources)
    finite = np.isfinite(times)
    later = np.diff(np.where(finite, times, 0.0), prepend=-1.0) > 0
    for good, fault, remedy in (
        (finite, "is not finite", "give it fewer seconds"),
        (later, "is not later than the one before", "give it a shorter start-up or more seconds per resource"),
    ):
        if not good.all():
            report = int(np.argmin(good))
            raise ValueError(
                f"time_model: the time {times[report]:g} at {resources[report]} by {time_model} {fault}; {remedy}"
            )
    seconds: list[float] = times.tolist()
    return seconds


def checked_names(metrics: Sequence[str], resource_attr: str) -> tuple[str, ...]:
    """Names of the metrics.

    Raises:
        ValueError: There is none, one is there twice, or a report could not have it.
    """
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    if not names:
        raise ValueError("metrics are empty; a table needs the name of at least one metric")
    keys = (*names, resource_attr)
    for name in keys:
        if not isinstance(name, str) or not name:
            raise ValueError(f"metrics and resource_attr must be names, got {name!r}")
        if name.startswith((RESERVED_PREFIX, CONFIG_PREFIX)) or name == TRIAL_ID:
            raise ValueError(f"the name {name!r} is reserved for cloudtune; rename the metric")
        if keys.count(name) > 1:
            raise ValueError(f"the name {name!r} stands twice among metrics and resource_attr; rename one")
    return names


def _real(what: str, numbers: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(numbers)
    if array.dtype.kind == "c":
        raise ValueError(f"{what} must be real numbers, got complex ones; give .real if that is meant")
    return array


def _read_only(array: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The same numbers; whose array it was may still write to it."""
    view: npt.NDArray[Number] = array.view()
    view.flags.writeable = False
    return view


def _check_shape(what: str, array: npt.NDArray[Any], shape: Sequence[int], axes: Sequence[str]) -> None:
    if array.shape != tuple(shape):
        wanted = ", ".join(f"{axis}={size}" for axis, size in zip(axes, shape, strict=True))
        raise ValueError(f"{what} must have shape ({wanted}), got {array.shape}")


def _check_increasing(what: str, array: npt.NDArray[Any]) -> None:
    bad = np.flatnonzero(np.diff(array) <= 0)
    if bad.size:
        index = int(bad[0]) + 1
        raise ValueError(
            f"{what} must increase, but {array[index]} at position {index} follows {array[index - 1]}; sort the "
            "reports by resource and keep the last of each"
        )
