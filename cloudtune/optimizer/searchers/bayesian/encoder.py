"""Configurations as rows of numbers for a Gaussian process, and which of these numbers may vary continuously."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.config_space import Categorical, Domain, decode, encode, encoded_ranges, search_space
from cloudtune.optimizer.searchers.lattice import all_values
from cloudtune.trial import Config

Array = npt.NDArray[np.float64]

#: Domains with more values than this vary continuously, and are rounded in the end.
_MAX_LISTED = 64

#: Of a domain with an order, the values tried in place of one: so many places before and after it, and the ends.
_NEAR = (-4, -2, -1, 1, 2, 4)


class Encoder:
    """Maps configurations to rows in the unit cube and back.

    Real numbers, and integers of long ranges, are one column each, on the scale of their domain. A domain with few
    values is one column that takes as many values, or one column per category. All rows that come out of
    :meth:`from_unit` and :meth:`snapped` stand for configurations, but for the rounding of integers of long ranges
    (Garrido-Merchán and Hernández-Lobato 2020, Neurocomputing 380).

    Args:
        space: The config space.
    """

    def __init__(self, space: Mapping[str, Any]) -> None:
        self._space = space
        self._domains = list(search_space(space).values())
        self._ranges = list(encoded_ranges(space).values())
        self._values = [_listed(domain) for domain in self._domains]
        #: Number of columns.
        self.width = self._ranges[-1][1] if self._ranges else 0
        #: Number of domains.
        self.num_domains = len(self._domains)
        #: For each column, the number of its domain.
        self.owners = tuple(number for number, (begin, end) in enumerate(self._ranges) for _ in range(begin, end))
        #: Columns that vary continuously.
        self.continuous = [
            begin for (begin, _), values in zip(self._ranges, self._values, strict=True) if values is None
        ]
        #: Columns of numbers, those with few values included.
        self.ordered = [begin for begin, end in self._ranges if end == begin + 1]
        #: Numbers of the domains of categories that have more than one.
        self.categories = tuple(
            number
            for number, (domain, values) in enumerate(zip(self._domains, self._values, strict=True))
            if isinstance(domain, Categorical) and values is not None and len(values) > 1
        )
        #: Numbers of the domains with few values.
        self.listed = [number for number, values in enumerate(self._values) if values is not None]

    def row(self, config: Mapping[str, Any]) -> Array:
        """The row of a configuration, shape ``(width,)``."""
        return encode(self._space, config)

    def config(self, row: Array) -> Config:
        """The configuration nearest to a row, constants included."""
        return decode(self._space, row)

    def from_unit(self, points: Array) -> Array:
        """Rows, shape ``(n, width)``, for points of the unit cube with one number per domain, shape ``(n, domains)``.

        Uniform points give every value of a listed domain alike.
        """
        rows = np.zeros((len(points), self.width))
        for number, ((begin, end), values) in enumerate(zip(self._ranges, self._values, strict=True)):
            if values is None:
                rows[:, begin] = points[:, number]
            else:
                rows[:, begin:end] = values[np.minimum((points[:, number] * len(values)).astype(int), len(values) - 1)]
        return rows

    def snapped(self, rows: Array) -> Array:
        """The rows with the nearest values in listed domains, and all numbers in [0, 1]."""
        snapped = np.clip(rows, 0.0, 1.0)
        for number in self.listed:
            (begin, end), values = self._ranges[number], self._values[number]
            assert values is not None
            if end - begin > 1:
                nearest = snapped[:, begin:end].argmax(axis=1)
            else:
                nearest = np.abs(snapped[:, begin, None] - values[:, 0]).argmin(axis=1)
            snapped[:, begin:end] = values[nearest]
        return snapped

    def counts(self, rows: Array, number: int) -> npt.NDArray[np.int64]:
        """How many rows have each of the categories of one domain, shape ``(categories,)``."""
        values = self._values[number]
        assert values is not None
        return np.bincount(self.categories_in(rows, number), minlength=len(values))

    def categories_in(self, rows: Array, number: int) -> npt.NDArray[np.int64]:
        """Which category of one domain each row has, shape ``(n,)``."""
        (begin, end), values = self._ranges[number], self._values[number]
        assert values is not None
        nearest: npt.NDArray[np.int64] = np.abs(rows[:, None, begin:end] - values).sum(2).argmin(1)
        return nearest

    def with_category(self, rows: Array, number: int, category: int) -> Array:
        """The rows with this category of one domain, each once."""
        (begin, end), values = self._ranges[number], self._values[number]
        assert values is not None
        changed = rows.copy()
        changed[:, begin:end] = values[category]
        _, first = np.unique(changed, axis=0, return_index=True)
        distinct: Array = changed[np.sort(first)]
        return distinct

    def alternatives(self, row: Array, number: int) -> Array:
        """The row with other values for one listed domain: all categories, or values near by and at the ends."""
        (begin, end), values = self._ranges[number], self._values[number]
        assert values is not None
        count = len(values)
        if end - begin > 1:
            now = int(row[begin:end].argmax())
            chosen = list(range(count))
        else:
            now = int(np.abs(values[:, 0] - row[begin]).argmin())
            chosen = list(range(count)) if count <= len(_NEAR) else [0, count - 1, *(now + step for step in _NEAR)]
        others = sorted({index for index in chosen if 0 <= index < count and index != now})
        rows = np.repeat(row[None], len(others), axis=0)
        rows[:, begin:end] = values[others]
        return rows

    def neighbours(self, rows: Array, rng: np.random.Generator, scale: float) -> Array:
        """The rows after random steps: normal ones of standard deviation ``scale``, and now and then another category.

        In many dimensions only some columns of each row change, at least one.
        """
        count = len(rows)
        changed = rng.random((count, self.num_domains)) < max(0.3, 2 / max(1, self.num_domains))
        changed[np.arange(count), rng.integers(self.num_domains, size=count)] = True
        moved = rows.copy()
        steps = rng.standard_normal((count, self.num_domains)) * scale
        uniform = rng.random((count, self.num_domains))
        for number, (begin, end) in enumerate(self._ranges):
            which = changed[:, number]
            if end - begin == 1:
                moved[which, begin] += steps[which, number]
            else:
                moved[which, begin:end] = np.eye(end - begin)[(uniform[which, number] * (end - begin)).astype(int)]
        return self.snapped(moved)


def _listed(domain: Domain) -> Array | None:
    """The encoded values of a domain with few, in order, shape ``(values, columns)``."""
    size = domain.size()
    if size is None or (size > _MAX_LISTED and not isinstance(domain, Categorical)):
        return None
    values: Sequence[Any] = all_values(domain)
    return np.array([domain.to_unit(value) for value in values])
