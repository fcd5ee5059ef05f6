"""BORE (Tiao et al. 2021, "BORE: Bayesian Optimization by Density-Ratio Estimation", ICML)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.config_space import complete_config, config_key, encode, search_space
from cloudtune.optimizer.argument_checks import is_comparable, whole_number
from cloudtune.optimizer.extras import need_extra
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.searchers.bore_classifiers import CLASSIFIERS
from cloudtune.optimizer.searchers.candidates import CandidateSearch
from cloudtune.optimizer.searchers.observed_costs import ObservedCosts
from cloudtune.optimizer.searchers.random_searcher import RandomSearcher
from cloudtune.trial import Config

#: A classifier learns from at most this many trials; if there are more, from every second, third ... in order of cost.
_MAX_OBSERVATIONS = 1000

#: Number of the random stream of proposals by the classifier; random search uses those below.
_STREAM = 100

#: Of more given configurations a random sample is scored.
_MAX_SCORED = 5000

#: Best trials around which the local search looks, besides the best candidates.
_INCUMBENTS = 3


class BoreSearcher(RandomSearcher):
    """Proposes what a classifier takes for one of the best.

    The trials whose cost belongs to the best share ``gamma`` are good, and count the more the better they rank, so that
    the classifier tells better from good; failed ones and those with values that are not finite never are. Its score
    grows with the improvement that is to be expected (Tiao et al. 2021; with weights: Song et al. 2022, section 4;
    ranks instead of differences, so that no change of scale matters). Under a scheduler with rung levels the costs are
    those at the highest level that ``num_init_random`` trials have reached (as in BOHB); trials that have ended below,
    or wait there, are none of the good ones. The score is maximised over
    random draws and then over steps from the best of these and the best trials; of given configurations, over all that
    are left. Running trials do not count.

    A classifier does not know what it has not seen: what no trial has shown to be good it never proposes, a category
    for instance. Therefore a share of the configurations is random all the while, as in BOHB (Falkner et al. 2018,
    ICML, algorithm 2). After 60 trials its regret is level with that of Optuna's TPE, or below, on smooth functions of
    two and six numbers, but hardly below random search's where categories decide: use Bayesian optimisation or TPE
    then. Of the classifiers the network needs the most trials.

    Args:
        config_space, points_to_evaluate, random_seed: See :class:`~cloudtune.optimizer.searchers.searcher.Searcher`.
        classifier: ``"svm"``, ``"random_forest"``, ``"gradient_boosting"`` or ``"mlp"``.
        gamma: Share of the trials that count as good, in (0, 1).
        random_share: Chance that a configuration is random, in [0, 1).
        num_init_random: Configurations are random until so many trials have a finite cost, at least 2.
        num_candidates: Random draws before the local search.
        allow_duplicates: False: no configuration is proposed twice, and when a finite space is used up, there is no
            further one.
        restrict_configurations: See :class:`~cloudtune.optimizer.searchers.random_searcher.RandomSearcher`.

    Raises:
        ConfigSpaceError: The space, one of the points, or one of the given configurations is wrong.
        ValueError: Another argument is wrong; the message names it.
        MissingExtra: scikit-learn is not installed.
    """

    libraries = ("sklearn",)

    def __init__(
        self,
        config_space: Mapping[str, Any],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        classifier: str = "svm",
        gamma: float = 0.25,
        random_share: float = 0.1,
        num_init_random: int = 6,
        num_candidates: int = 500,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(config_space, points_to_evaluate, random_seed, allow_duplicates, restrict_configurations)
        need_extra("sklearn", "bore", "BORE")
        if classifier not in CLASSIFIERS:
            raise ValueError(f"classifier must be one of {', '.join(map(repr, CLASSIFIERS))}, got {classifier!r}")
        if not is_comparable(gamma) or not 0 < gamma < 1:
            raise ValueError(f"gamma must be between 0 and 1, a share of the trials, got {gamma!r}")
        if not is_comparable(random_share) or not 0 <= random_share < 1:
            raise ValueError(f"random_share must be at least 0 and below 1, got {random_share!r}; 0.1 is usual")
        whole_number("num_init_random", num_init_random, 2, "a trial for each class is needed")
        whole_number("num_candidates", num_candidates, 1, "500 is usual")
        self.classifier = classifier
        self.gamma = float(gamma)
        self.random_share = float(random_share)
        self.num_init_random = int(num_init_random)
        self.num_candidates = int(num_candidates)
        self._domains = search_space(self.config_space)
        self._costs: ObservedCosts | None = None
        self._configs: dict[int, Config] = {}
        #: What was computed aside, and the number of the suggestion that it is for.
        self._taken: tuple[int, Config | None] = (-1, None)

    def aim(self, goal: Goal) -> None:
        """Told what is optimised.

        Raises:
            ValueError: There are several metrics.
        """
        if len(goal.metrics) > 1:
            raise ValueError(
                f"BORE optimises one metric, got {', '.join(goal.metrics)}; name one, or use another searcher"
            )
        super().aim(goal)
        self._costs = ObservedCosts(goal)

    def settings(self) -> dict[str, Any]:
        """What the classifier and its use depend on."""
        return {
            **super().settings(),
            "classifier": self.classifier,
            "gamma": self.gamma,
            "random_share": self.random_share,
            "num_init_random": self.num_init_random,
            "num_candidates": self.num_candidates,
        }

    def work(self) -> Callable[[], Config | None] | None:
        """Fitting the classifier and searching with it, once there are enough trials."""
        return None if self.num_suggestions < len(self.points_to_evaluate) else self._search()

    def take(self, result: Config | None) -> None:
        """Keeps what was found for the next suggestion."""
        self._taken = (self.num_suggestions, result)

    def suggest(self) -> Config | None:
        """What the classifier likes best among the new configurations; a random one as long as there is none."""
        number, proposed = self._taken
        if number != self.num_suggestions:
            search = self._search()
            proposed = None if search is None else search()
        if proposed is not None and (self.allow_duplicates or self._is_new(proposed)):
            # Constants of its own: those of a trial from which it comes may be others, such as a rung level.
            return complete_config(self.config_space, {name: proposed[name] for name in self._domains})
        return super().suggest()

    def _search(self) -> Callable[[], Config | None] | None:
        """What finds a configuration, on copies of what it needs; None where it is to be random.

        That is as long as there is nothing to learn from, and now and then.
        """
        if self._costs is None or not self._domains:
            return None
        observed = {trial: costs[0] for trial, costs in self._costs.at_highest(self.num_init_random).items()}
        if not observed:
            return None
        observed.update(dict.fromkeys(sorted(self._costs.ended - observed.keys()), math.inf))
        observed.update(dict.fromkeys(sorted(self._costs.failed), math.inf))
        trials = sorted((trial for trial in observed if trial in self._configs), key=lambda trial: observed[trial])
        trials = trials[:: -(-len(trials) // _MAX_OBSERVATIONS)]
        gains = _gains([observed[trial] for trial in trials], self.gamma)
        if gains.all() or not gains.any():
            return None
        space, known = self.config_space, frozenset() if self.allow_duplicates else frozenset(self._seen)
        configs = [self._configs[trial] for trial in trials]
        rng = self.random.generator(self.num_suggestions, _STREAM)
        if rng.random() < self.random_share:
            return None
        fit, num_candidates = CLASSIFIERS[self.classifier], self.num_candidates
        given, left = self._given, None if self._left is None else self._left.numbers()

        def search() -> Config | None:
            features = np.stack([encode(space, config) for config in configs])
            model = fit(features, gains, int(rng.integers(2**31)))
            if given is not None and left is not None:
                # In random order, which decides among equal scores.
                among = rng.permutation(left)[:_MAX_SCORED]
                return given.config(int(among[model(given.rows[among]).argmax()])) if len(among) else None
            return CandidateSearch(space, model, rng).best(num_candidates, known, configs[:_INCUMBENTS])

        return search

    def on_suggestion(self, config: Config) -> None:
        """Remembers the configuration, so that it does not come again, also where the space is infinite."""
        super().on_suggestion(config)
        self._seen.add(config_key(self.config_space, config))

    def on_trial_add(self, trial_id: int, config: Config) -> None:
        """Remembers what the trial is of."""
        self._configs[trial_id] = config

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """Learns a cost, at the rung levels that are reached."""
        if self._costs is not None:
            self._costs.report(trial_id, result)

    def on_trial_complete(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """The trial's last cost counts."""
        if self._costs is not None:
            self._costs.end(trial_id)

    def on_trial_remove(self, trial_id: int, config: Config) -> None:
        """The last cost of a trial that was stopped counts as well."""
        if self._costs is not None:
            self._costs.end(trial_id)

    def on_trial_error(self, trial_id: int, config: Config) -> None:
        """A failed trial is none of the good ones."""
        if self._costs is not None:
            self._costs.fail(trial_id)


def _gains(costs: Sequence[float], gamma: float) -> npt.NDArray[np.float64]:
    """What each of the costs, given in increasing order, gains: how many good ones it is no worse than, over the mean.

    Good ones are at most the ``gamma`` quantile, and finite. 0: it is none of them.
    """
    threshold = costs[math.ceil(gamma * len(costs)) - 1]
    good = [cost for cost in costs if math.isfinite(cost) and cost <= threshold]
    gains = np.zeros(len(costs))
    gains[: len(good)] = len(good) - np.searchsorted(good, good)
    return gains / gains[: len(good)].mean() if good else gains
