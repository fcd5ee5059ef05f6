"""Which machines the trials of an experiment may get: the template's, or those that its config space chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune import constants
from cloudtune.config_categories import Categorical, Ordinal
from cloudtune.config_domains import Domain


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


def _values(space: Mapping[str, Any], name: str) -> list[Any]:
    """What an entry may be; of a range of numbers, the greatest."""
    entry = space.get(name)
    if isinstance(entry, (Categorical, Ordinal)):
        return list(entry.categories)
    return [entry.from_unit([1.0])] if isinstance(entry, Domain) else [entry]
