"""Grid search: all combinations of a few values per hyperparameter."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from cloudtune.config_space import ConfigSpaceError, Domain, config_key, search_space
from cloudtune.optimizer.argument_checks import switch, whole_number
from cloudtune.optimizer.searchers.lattice import Lattice, all_values
from cloudtune.optimizer.searchers.searcher import Searcher
from cloudtune.trial import Config

#: Larger grids are not shuffled: their order alone would fill the memory.
_MAX_SHUFFLED = 2_000_000

_DEFAULT_SAMPLES = 5


class GridSearcher(Searcher):
    """Proposes the points of a grid, each once.

    A continuous parameter is represented by ``num_samples`` quantiles at equal distances (the middles of as many
    equally probable parts), an integer likewise unless it has no more values than that; a categorical, ordinal or
    finite-range parameter by all its values.

    Args:
        config_space, points_to_evaluate, random_seed: See :class:`~cloudtune.optimizer.searchers.searcher.Searcher`.
        num_samples: Values per continuous or integer parameter: a number for all, or a number for some by name (and 5
            for the others).
        shuffle: True: in random order, so that a search that ends early has looked everywhere. False: in the order of
            the config space, the last parameter changing fastest.

    Raises:
        ValueError: ``num_samples`` is no integer of at least 1, ``shuffle`` is neither True nor False, or the grid is
            too large to be shuffled.
        ConfigSpaceError: ``num_samples`` names a parameter that takes none.
    """

    def __init__(
        self,
        config_space: Mapping[str, Any],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        num_samples: int | Mapping[str, int] = _DEFAULT_SAMPLES,
        shuffle: bool = True,
    ) -> None:
        super().__init__(config_space, points_to_evaluate, random_seed)
        self._lattice = Lattice(self.config_space, _axes(search_space(self.config_space), num_samples))
        self.num_samples = dict(num_samples) if isinstance(num_samples, Mapping) else num_samples
        self.shuffle = switch("shuffle", shuffle)
        if self.shuffle and self._lattice.size > _MAX_SHUFFLED:
            raise ValueError(
                f"a grid of {self._lattice.size:,} points is too large to be shuffled; use shuffle=False, "
                "fewer num_samples, or random search"
            )
        self._order: Sequence[int] | None = None
        self._seen: set[Hashable] = set()
        self._position = 0

    @property
    def grid_size(self) -> int:
        """Number of grid points."""
        return self._lattice.size

    def settings(self) -> dict[str, Any]:
        """What makes the grid and its order."""
        return {"num_samples": self.num_samples, "shuffle": self.shuffle}

    def set_random_seed(self, random_seed: int) -> None:
        """Replaces the seed, before the first suggestion."""
        super().set_random_seed(random_seed)
        self._order = None

    def suggest(self) -> Config | None:
        """The next grid point that was not proposed yet, or None at the end of the grid."""
        if self._order is None:
            self._order = self._make_order()
        while self._position < len(self._order):
            config = self._lattice.config(self._order[self._position])
            if config_key(self.config_space, config) not in self._seen:
                return config
            self._position += 1
        return None

    def on_suggestion(self, config: Config) -> None:
        """Remembers the configuration, so that the grid skips it."""
        self._seen.add(config_key(self.config_space, config))

    def _make_order(self) -> Sequence[int]:
        if not self.shuffle:
            return range(self._lattice.size)
        # Of the whole search, not of one suggestion: number 0 whenever it is made.
        order: list[int] = self.random.generator(0).permutation(self._lattice.size).tolist()
        return order


def _axes(domains: Mapping[str, Domain], num_samples: int | Mapping[str, int]) -> dict[str, Sequence[Any]]:
    chosen = num_samples if isinstance(num_samples, Mapping) else dict.fromkeys(domains, num_samples)
    for name, count in chosen.items():
        if name not in domains:
            raise ConfigSpaceError(
                f"num_samples: parameter {name!r} is not a domain of the config space; "
                f"it has {', '.join(domains) or 'none'}"
            )
        argument = f"num_samples[{name!r}]" if isinstance(num_samples, Mapping) else "num_samples"
        whole_number(argument, count, 1, f"{_DEFAULT_SAMPLES} values per continuous or integer parameter are usual")
    return {name: _axis(domain, chosen.get(name, _DEFAULT_SAMPLES)) for name, domain in domains.items()}


def _axis(domain: Domain, count: int) -> Sequence[Any]:
    size = domain.size()
    if size is not None:
        values = all_values(domain)
        if isinstance(values, tuple) or size <= count:
            return values
    return list(dict.fromkeys(domain.from_uniform((i + 0.5) / count) for i in range(count)))
