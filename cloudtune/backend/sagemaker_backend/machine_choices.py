"""Which machines the trials of an experiment may get: the template's, or those that its config space chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune import constants
from cloudtune.aws.training_job_rules import check_instance_type
from cloudtune.config_categories import Categorical, Ordinal
from cloudtune.config_domains import ConfigSpaceError, Domain
from cloudtune.config_numbers import FiniteRange, Float

#: Entries of a configuration that choose its machines.
_NAMES = (constants.ST_INSTANCE_TYPE, constants.ST_INSTANCE_COUNT)


def instance_types(space: Mapping[str, Any], default: str) -> list[str]:
    """All types of instance that a configuration may ask for.

    Args:
        space: The config space.
        default: The template's type, for configurations that choose none.
    """
    return [value or default for value in _values(space, constants.ST_INSTANCE_TYPE)]


def most_instances(space: Mapping[str, Any], default: int) -> int:
    """The greatest number of instances that a configuration may ask for.

    Args:
        space: The config space.
        default: The template's number.
    """
    return max(int(value) if value else default for value in _values(space, constants.ST_INSTANCE_COUNT))


def check_choices(space: Mapping[str, Any], has_groups: bool) -> None:
    """Raises ConfigSpaceError, naming the entry, where a configuration could ask for machines that cannot be.

    Args:
        space: The config space.
        has_groups: Whether the job has groups of instances, among which there is nothing to choose.
    """
    for name in _NAMES:
        entry = space.get(name)
        if isinstance(entry, Float) and name == constants.ST_INSTANCE_COUNT and not has_groups:
            raise ConfigSpaceError(
                f"config space: {name} is {entry}, which gives fractions of machines; use randint, or a choice of "
                "whole numbers"
            )
        values = entry.values if isinstance(entry, FiniteRange) else [*_values(space, name), *_least(entry)]
        for value in values:
            wrong = what_is_wrong({name: value}, has_groups)
            if wrong is not None:
                raise ConfigSpaceError(f"config space: {wrong}")


def what_is_wrong(config: Mapping[str, Any], has_groups: bool) -> str | None:
    """Why a trial cannot get the machines that its configuration asks for; None: nothing is wrong with them."""
    for name in _NAMES:
        value = config.get(name)
        if value is None:
            continue
        if has_groups:
            return f"{name} would choose the machines of a trial, and the job has groups of instances; leave it out"
        if name == constants.ST_INSTANCE_COUNT:
            if not _is_count(value):
                meant = value.strip() if isinstance(value, str) else ""
                hint = f"; did you mean {int(meant)}?" if meant.isdecimal() and int(meant) else ""
                return f"{name} must be a whole number, at least 1, got {value!r}{hint}"
        else:
            try:
                check_instance_type(value)
            except ValueError as error:
                return f"{name} is no type of machine: {error}"
    return None


def chosen_type(config: Mapping[str, Any], default: str) -> str:
    """The type of instance that a configuration asks for; the template's where it asks for none, or for nonsense."""
    wanted = config.get(constants.ST_INSTANCE_TYPE)
    return wanted if isinstance(wanted, str) and wanted else default


def chosen_count(config: Mapping[str, Any]) -> int | None:
    """The number of instances that a configuration asks for; None: it asks for none, or for nonsense."""
    wanted = config.get(constants.ST_INSTANCE_COUNT)
    return int(wanted) if wanted is not None and _is_count(wanted) else None


def _is_count(value: Any) -> bool:
    is_whole = value.is_integer() if isinstance(value, float) else isinstance(value, int)
    return is_whole and not isinstance(value, bool) and value >= 1


def _least(entry: Any) -> list[Any]:
    """The least value of a range of numbers."""
    listed = isinstance(entry, (Categorical, Ordinal)) or not isinstance(entry, Domain)
    return [] if listed else [entry.from_unit([0.0])]


def _values(space: Mapping[str, Any], name: str) -> list[Any]:
    """What an entry may be; of a range of numbers, the greatest."""
    entry = space.get(name)
    if isinstance(entry, (Categorical, Ordinal)):
        return list(entry.categories)
    return [entry.from_unit([1.0])] if isinstance(entry, Domain) else [entry]
