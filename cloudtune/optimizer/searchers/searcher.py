"""The contract of a searcher: which configuration to try next. Schedulers decide how long each is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cloudtune.config_space import complete_config, config_key, plain_config_space, validate_config_space
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.randomness import KeyedRandom, checked_seed, draw_seed
from cloudtune.optimizer.searchers.given_configs import listed_points
from cloudtune.trial import Config


class Searcher(ABC):
    """Proposes configurations. To write one's own, implement :meth:`suggest`.

    Randomness comes from :meth:`random_generator` alone, which is keyed by the number of the suggestion: an experiment
    that continues from its log restores its configurations instead of computing them again, and goes on as it would
    have.

    A searcher whose proposals take long (seconds) implements :meth:`work` as well, so that the tuner goes on handling
    events meanwhile; see there.

    Args:
        config_space: Hyperparameter domains and constants.
        points_to_evaluate: Configurations to propose first, in this order. Missing parameters get their defaults, and
            duplicates are dropped. None: one configuration, of all defaults. ``[]``: none.
        random_seed: Seed. A scheduler that uses this searcher shares its seed; drawn if neither is given one.

    Raises:
        ConfigSpaceError: The space, or one of the points, is wrong.
    """

    #: Packages, as they are imported, that it imports only when it needs them: where a tuner is sent, they come too.
    libraries: Sequence[str] = ()
    #: Whether it proposes configurations of a list that it was given, and no others.
    is_restricted = False

    def __init__(
        self,
        config_space: Mapping[str, Any],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
    ) -> None:
        validate_config_space(config_space)
        self.config_space = plain_config_space(config_space)
        points: Sequence[Mapping[str, Any]] = [{}] if points_to_evaluate is None else points_to_evaluate
        self.points_to_evaluate = _complete_points(config_space, points)
        self.random_seed_given = random_seed is not None
        self.random_seed = draw_seed() if random_seed is None else checked_seed(random_seed)
        self.random = KeyedRandom(self.random_seed, stream="searcher")
        self.num_suggestions = 0
        #: What the configurations are for; None until a scheduler says so.
        self.goal: Goal | None = None

    def aim(self, goal: Goal) -> None:
        """Told once by the scheduler that uses this searcher, before the first suggestion.

        Raises:
            ValueError: This searcher cannot work for it (several objectives, for instance); the message says why.
        """
        self.goal = goal

    def set_random_seed(self, random_seed: int) -> None:
        """Replaces the seed, before the first suggestion.

        Raises:
            RuntimeError: There was a suggestion already.
        """
        if self.num_suggestions:
            raise RuntimeError("the seed of a searcher cannot change after its first suggestion; make a new searcher")
        self.random_seed = checked_seed(random_seed)
        self.random = KeyedRandom(self.random_seed, stream="searcher")

    def settings(self) -> dict[str, Any]:
        """What the proposals depend on besides config space, points to evaluate and seed, as JSON values by name.

        An experiment is continued only with the settings it began with. A searcher of one's own whose constructor has
        further arguments should return them here.
        """
        return {}

    def outcome(self) -> dict[str, Any]:
        """How the search has gone so far, as JSON values by name: what a user should hear of, in the end.

        It is written into the experiment's metadata. For what does not end an experiment and must not stay hidden
        either, such as a model that could not be fitted.
        """
        return {}

    def random_generator(self) -> np.random.Generator:
        """A fresh generator for the suggestion that is being computed."""
        return self.random.generator(self.num_suggestions)

    def next_config(self) -> Config | None:
        """The next configuration, constants included: a point to evaluate, and then what :meth:`suggest` says.

        Raises:
            ConfigSpaceError: ``suggest`` proposed a parameter that the space does not have.
        """
        number = self.num_suggestions
        proposed = self.points_to_evaluate[number] if number < len(self.points_to_evaluate) else self.suggest()
        if proposed is None:
            return None
        # Checking the names costs next to nothing; checking every value would cost more than drawing it.
        same_names = proposed.keys() == self.config_space.keys()
        config = dict(proposed) if same_names else complete_config(self.config_space, proposed)
        self.num_suggestions += 1
        self.on_suggestion(config)
        return config

    def restore(self, config: Config, memo: Mapping[str, Any] | None = None) -> None:
        """Takes a logged configuration instead of computing one: afterwards the state is as if it had been computed.

        Args:
            config: As :meth:`next_config` returned it.
            memo: As :meth:`memo` returned it after that.
        """
        self.num_suggestions += 1
        if memo is not None:
            self.recall(memo)
        self.on_suggestion(config)

    def memo(self) -> dict[str, Any] | None:
        """What this searcher must be told again, besides the configuration, to go on as if it had never been restored.

        Asked after each :meth:`next_config`; JSON values, and small, since it is logged with the suggestion. For what
        would be dear to compute again, such as the parameters of a model from which the next fit begins.
        """
        return None

    def recall(self, memo: Mapping[str, Any]) -> None:  # noqa: B027 - most searchers make no memos
        """Told a memo of an earlier run again, before :meth:`on_suggestion` of its suggestion."""

    def work(self) -> Callable[[], Any] | None:
        """What the next :meth:`suggest` would take long to compute, to be computed in another thread; None: nothing.

        The function that is returned must not touch this searcher, which goes on receiving events meanwhile: it works
        on a copy of what it needs. Its result is given to :meth:`take`, and then :meth:`next_config` is asked, which
        must be quick. Where nothing is computed aside (in a simulation, for instance), ``suggest`` is asked at once.
        """
        return None

    def take(self, result: Any) -> None:  # noqa: B027 - most searchers are quick
        """Receives what the function of :meth:`work` has returned, in the thread of the tuner."""

    @abstractmethod
    def suggest(self) -> Config | None:
        """Computes the configuration of suggestion number ``self.num_suggestions``, or None if nothing is left to try.

        Parameters it leaves out get their defaults. Must not change what later suggestions depend on: that belongs into
        :meth:`on_suggestion`, which is also called when an experiment continues.
        """

    def on_suggestion(self, config: Config) -> None:  # noqa: B027 - most searchers need not know
        """This configuration becomes a trial: a point to evaluate, one computed here, or one from the log."""

    def on_trial_add(self, trial_id: int, config: Config) -> None:  # noqa: B027 - see above
        """The trial is about to start."""

    def on_trial_resume(self, trial_id: int, config: Config) -> None:  # noqa: B027 - see above
        """The trial, which was paused, is about to go on."""

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:  # noqa: B027 - see above
        """The trial reported ``result``."""

    def on_trial_complete(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:  # noqa: B027 - see above
        """The trial ended by itself; ``result`` is its last report that had all the scheduler's metrics."""

    def on_trial_error(self, trial_id: int, config: Config) -> None:  # noqa: B027 - see above
        """The trial failed."""

    def on_trial_remove(self, trial_id: int, config: Config) -> None:  # noqa: B027 - see above
        """The trial was stopped or paused."""


def _complete_points(space: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> list[Config]:
    unique: dict[Any, Config] = {}
    for point in listed_points(points):
        config = complete_config(space, point)
        unique.setdefault(config_key(space, config), config)
    return list(unique.values())
