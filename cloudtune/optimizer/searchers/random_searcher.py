"""Random search (Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization", JMLR 13)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from cloudtune.config_space import ConfigSampler, config_key, config_space_size, search_space
from cloudtune.optimizer.argument_checks import switch
from cloudtune.optimizer.searchers.given_configs import GivenConfigs, LeftConfigs
from cloudtune.optimizer.searchers.lattice import Lattice, all_values
from cloudtune.optimizer.searchers.searcher import Searcher
from cloudtune.trial import Config

#: Draws that may hit known configurations before those that are left are counted through.
_MAX_DRAWS = 20


class RandomSearcher(Searcher):
    """Draws every configuration from the distributions of the config space, independently of all results.

    Args:
        config_space, points_to_evaluate, random_seed: See :class:`~cloudtune.optimizer.searchers.searcher.Searcher`.
        allow_duplicates: False: no configuration of a finite space is proposed twice, and when all have been, there is
            no further one. (In an infinite space the same one hardly ever comes again.)
        restrict_configurations: Only these are proposed, each with the same probability: a list of configurations, such
            as those of a table, each with a value for every hyperparameter. Points to evaluate must be among them, and
            None are no points then. None: no restriction.

    Raises:
        ConfigSpaceError: The space, one of the points, or one of the given configurations is wrong.
        ValueError: ``allow_duplicates`` is neither True nor False.
    """

    def __init__(
        self,
        config_space: Mapping[str, Any],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        given = None if restrict_configurations is None else GivenConfigs(config_space, restrict_configurations)
        points = points_to_evaluate if given is None else given.points(points_to_evaluate)
        super().__init__(config_space, points, random_seed)
        self.is_restricted = given is not None
        self._given = given
        self._left = None if given is None else LeftConfigs(given)
        self.allow_duplicates = switch("allow_duplicates", allow_duplicates)
        self._sampler = ConfigSampler(self.config_space)
        #: Number of configurations, None for infinitely many or if they need not be told apart.
        self._size = None if allow_duplicates else config_space_size(self.config_space)
        self._seen: set[Hashable] = set()

    def settings(self) -> dict[str, Any]:
        """Whether configurations may come again, and which there are if they were given."""
        restriction = {} if self._given is None else self._given.settings()
        return {"allow_duplicates": self.allow_duplicates, **restriction}

    def suggest(self) -> Config | None:
        """A random configuration; None if the space is finite and used up, or the given ones are."""
        if self._is_used_up():
            return None
        number = self.num_suggestions
        if self._left is not None:
            return self._left.drawn(self.random.uniform_row(number, 1)[0])
        config = self._sampler.from_uniform(self.random.uniform_row(number, self._sampler.dimension))
        if self._size is None or self._is_new(config):
            return config
        for attempt in range(1, _MAX_DRAWS):
            row = self.random.generator(number, attempt).random(self._sampler.dimension).tolist()
            config = self._sampler.from_uniform(row)
            if self._is_new(config):
                return config
        return self._any_that_is_left()

    def on_suggestion(self, config: Config) -> None:
        """Remembers the configuration, so that it does not come again."""
        if self._left is not None:
            if not self.allow_duplicates:
                self._left.take(config)
        elif self._size is not None:
            self._seen.add(config_key(self.config_space, config))

    def _is_used_up(self) -> bool:
        if self._left is not None:
            return not self._left
        return self._size is not None and len(self._seen) >= self._size

    def _is_new(self, config: Config) -> bool:
        return config_key(self.config_space, config) not in self._seen

    def _any_that_is_left(self) -> Config:
        """The first new configuration from a random one on, counting through all of them."""
        lattice = Lattice(self.config_space, {k: all_values(v) for k, v in search_space(self.config_space).items()})
        begin = int(self.random.generator(self.num_suggestions, _MAX_DRAWS).integers(lattice.size))
        numbers = ((begin + step) % lattice.size for step in range(lattice.size))
        return next(config for config in map(lattice.config, numbers) if self._is_new(config))
