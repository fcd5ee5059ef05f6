"""Bayesian optimisation as a searcher; under a scheduler with rung levels, the one of MOBSTER."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from cloudtune.config_space import config_key, config_space_size
from cloudtune.optimizer.argument_checks import check_key_of_report, is_comparable, switch, whole_number
from cloudtune.optimizer.extras import need_extra
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.searchers.bayesian.encoder import Encoder
from cloudtune.optimizer.searchers.bayesian.observations import Observations
from cloudtune.optimizer.searchers.bayesian.snapshot import MIN_FINITE, Given, ModelOptions, Proposal, Snapshot
from cloudtune.optimizer.searchers.given_configs import GivenConfigs, LeftConfigs
from cloudtune.optimizer.searchers.searcher import Searcher
from cloudtune.trial import Config


class BayesianSearcher(Searcher):
    """Proposes what promises the greatest improvement, by a Gaussian process that is fitted to all trials so far.

    Model: Matérn 5/2 with BoTorch's default priors (Hvarfner et al. 2024, ICML), refitted from where the fit before has
    ended: for every proposal, and from a hundred observations on whenever there are a tenth more. Acquisition: the
    logarithm of the expected improvement (Ament et al. 2023, NeurIPS) over the best mean so far, which noise does not
    mislead, averaged over fantasies of what running trials will show. Integers, ordinals and categories are only ever
    evaluated at values that they have. Categories add to what numbers contribute, or change it (Ru et al. 2020, ICML);
    up to every third proposal is for a category that was tried seldom.

    A trial that fails, or whose value is not finite, counts like the worst finite one. Bad outliers are drawn in.

    Under a scheduler with rung levels the model is one of (configuration, resource): what trials have shown at all
    levels counts, and improvement is sought at the highest level that enough of them have reached (Klein et al. 2020,
    "Model-based Asynchronous Hyperparameter and Neural Architecture Search", arXiv:2003.10865). Where a trial has not
    come that far, what is expected of it there counts as shown: else its surroundings would be proposed for ever.

    Args:
        config_space, points_to_evaluate, random_seed: See :class:`~cloudtune.optimizer.searchers.searcher.Searcher`.
        num_init_random: How many configurations come before the model is asked: the points to evaluate, and then a
            scrambled Sobol sequence, which also goes on while fewer than two trials have shown a finite value. Given
            configurations come at random instead, as in random search with the same seed.
        max_size_data_for_model: The model is fitted to at most so many observations: the best, and others that are
            spread widely; of several levels, the highest come first.
        input_warping: Warps each numeric input (Snoek et al. 2014, ICML), for objectives that change faster at one
            end. It makes fits slower.
        constraint_attr: Key of a report whose value must not be above 0 for a configuration to be of use (Gardner et
            al. 2014, ICML).
        cost_attr: Key of a report that tells what the trial has cost so far, in any unit: improvement is divided by
            the expected cost.
        cost_budget: What may be spent in all. The power of the cost falls from 1 to 0 as it is spent (Lee et al. 2020,
            "Cost-aware Bayesian Optimization"). None: it stays 1. The highest cost that each trial has reported counts,
            also of those that run, or have failed.
        allow_duplicates: False: no configuration is proposed twice, and when a finite space is used up, there is no
            further one.
        restrict_configurations: See :class:`~cloudtune.optimizer.searchers.random_searcher.RandomSearcher`. The
            acquisition is evaluated at all that are left (of more than 4,000 at so many, and near the best trials).

    Raises:
        ConfigSpaceError: The space, one of the points, or one of the given configurations is wrong.
        ValueError: Another argument is wrong; the message names it.
        MissingExtra: BoTorch is not installed.
    """

    libraries = ("botorch",)

    def __init__(
        self,
        config_space: Mapping[str, Any],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        num_init_random: int = 5,
        max_size_data_for_model: int = 500,
        input_warping: bool = False,
        constraint_attr: str | None = None,
        cost_attr: str | None = None,
        cost_budget: float | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        given = None if restrict_configurations is None else GivenConfigs(config_space, restrict_configurations)
        points = points_to_evaluate if given is None else given.points(points_to_evaluate)
        super().__init__(config_space, points, random_seed)
        need_extra("botorch", "bo", "Bayesian optimisation")
        whole_number("num_init_random", num_init_random, 1, "5 is usual")
        whole_number("max_size_data_for_model", max_size_data_for_model, MIN_FINITE, "500 is usual")
        for name, key in (("constraint_attr", constraint_attr), ("cost_attr", cost_attr)):
            if key is not None:
                check_key_of_report(name, key, "or leave it out")
        if constraint_attr is not None and constraint_attr == cost_attr:
            raise ValueError(
                f"constraint_attr and cost_attr are both {cost_attr!r}; name what must not be above 0 as the one, and "
                "what tells what a trial has cost as the other"
            )
        if cost_budget is not None and (
            cost_attr is None or not is_comparable(cost_budget) or not 0 < cost_budget < math.inf
        ):
            raise ValueError(
                "cost_budget must be above 0 and comes with cost_attr, a finite number in its unit; got "
                f"{cost_budget!r} and {cost_attr!r}"
            )
        self.num_init_random = int(num_init_random)
        self.max_size_data_for_model = int(max_size_data_for_model)
        self.input_warping = switch("input_warping", input_warping)
        self.constraint_attr = constraint_attr
        self.cost_attr = cost_attr
        self.cost_budget = cost_budget
        self.allow_duplicates = switch("allow_duplicates", allow_duplicates)
        #: How many fits have failed in spite of all jitter; their models had the parameters of the fit before.
        self.num_failed_fits = 0
        #: How many configurations were random ones, since all that a model would have tried was known.
        self.num_by_chance = 0
        self._encoder = Encoder(self.config_space)
        self._size = None if self.allow_duplicates else config_space_size(self.config_space)
        self._known: set[Hashable] = set()
        self.is_restricted = given is not None
        self._given = given
        self._left = None if given is None else LeftConfigs(given)
        self._observations: Observations | None = None
        self._warm: Mapping[str, Sequence[float]] = {}
        self._fitted: Mapping[str, int] = {}
        self._computed: Proposal | None = None
        self._memo: dict[str, Any] | None = None
        self._next_memo: dict[str, Any] | None = None

    def aim(self, goal: Goal) -> None:
        """Told what to optimise. Raises ValueError for several objectives."""
        if len(goal.metrics) != 1:
            raise ValueError(
                f"Bayesian optimisation has one objective, got {', '.join(goal.metrics)}; give one metric, and for a "
                "value that must not be above 0 use constraint_attr"
            )
        if self.constraint_attr in goal.metrics:
            raise ValueError(
                f"constraint_attr={self.constraint_attr!r} is the metric itself; name another value of the report, "
                "which must not be above 0"
            )
        if self.cost_attr in goal.metrics:
            raise ValueError(
                f"cost_attr={self.cost_attr!r} is the metric itself; name another value of the report, which tells "
                "what the trial has cost so far"
            )
        super().aim(goal)
        self._observations = Observations(goal, self.constraint_attr, self.cost_attr)

    def settings(self) -> dict[str, Any]:
        """What the proposals depend on."""
        return {
            "num_init_random": self.num_init_random,
            "max_size_data_for_model": self.max_size_data_for_model,
            "input_warping": self.input_warping,
            "constraint_attr": self.constraint_attr,
            "cost_attr": self.cost_attr,
            "cost_budget": self.cost_budget,
            "allow_duplicates": self.allow_duplicates,
            **({} if self._given is None else self._given.settings()),
        }

    # ------------------------------------------------------------------ proposals

    def work(self) -> Callable[[], Any] | None:
        """Fit and maximisation, on a snapshot."""
        self._computed = None
        if self.num_suggestions < len(self.points_to_evaluate) or self._is_used_up():
            return None
        snapshot = self._snapshot()
        return lambda: _propose(snapshot)

    def take(self, result: Any) -> None:
        """Receives the proposal."""
        self._computed = result

    def suggest(self) -> Config | None:
        """The proposal that was computed aside, or one that is computed now; None if the space is used up."""
        if self._is_used_up():
            return None
        proposal = self._computed
        if proposal is None or proposal.number != self.num_suggestions:
            proposal = _propose(self._snapshot())
        if proposal.parameters:
            parameters = {name: list(values) for name, values in proposal.parameters.items()}
            self._next_memo = {"parameters": parameters, "fitted": dict(proposal.fitted)}
            if failed := self.num_failed_fits + proposal.failed_fits:
                self._next_memo["failed_fits"] = failed
            if by_chance := self.num_by_chance + proposal.by_chance:
                self._next_memo["by_chance"] = by_chance
        return proposal.config

    def on_suggestion(self, config: Config) -> None:
        """Remembers the configuration, and the model's parameters for the next fit to begin from."""
        if not self.allow_duplicates:
            self._known.add(config_key(self.config_space, config))
            if self._left is not None:
                self._left.take(config)
        self._memo, self._next_memo, self._computed = self._next_memo, None, None
        if self._memo is not None:
            self._warm = self._memo["parameters"]
            self._fitted = self._memo.get("fitted", {})
            self.num_failed_fits = self._memo.get("failed_fits", 0)
            self.num_by_chance = self._memo.get("by_chance", 0)

    def outcome(self) -> dict[str, Any]:
        """``failed_fits`` and ``by_chance``: how many fits have failed, and proposals were not the model's."""
        return {"failed_fits": self.num_failed_fits, "by_chance": self.num_by_chance}

    def memo(self) -> dict[str, Any] | None:
        """Parameters of the models, how many fits have failed so far, and how many proposals were random."""
        return self._memo

    def recall(self, memo: Mapping[str, Any]) -> None:
        """Told them again."""
        self._next_memo = dict(memo)

    def _is_used_up(self) -> bool:
        if self._left is not None:
            return not self._left
        return self._size is not None and len(self._known) >= self._size

    def _snapshot(self) -> Snapshot:
        kept = self._observations
        return Snapshot(
            space=self.config_space,
            encoder=self._encoder,
            number=self.num_suggestions,
            position=max(0, self.num_suggestions - len(self.points_to_evaluate)),
            random=self.random,
            known=set(self._known),
            observations=kept.all() if kept is not None else [],
            pending=kept.pending() if kept is not None else [],
            levels=kept.levels if kept is not None else (),
            warm=self._warm,
            fitted=self._fitted,
            model=self._model(),
            given=self._choice(),
        )

    def _choice(self) -> Given | None:
        if self._given is None or self._left is None:
            return None
        drawn = self._left.drawn(self.random.uniform_row(self.num_suggestions, 1)[0])
        return Given(self._given, self._left.numbers(), drawn)

    def _model(self) -> ModelOptions | None:
        kept = self._observations
        if kept is None or self.num_suggestions < self.num_init_random or not self._encoder.num_domains:
            return None
        if kept.num_finite() < MIN_FINITE:
            return None
        exponent = None
        if self.cost_attr is not None:
            exponent = 1.0 if self.cost_budget is None else max(0.0, 1.0 - kept.spent() / self.cost_budget)
        return ModelOptions(
            self.max_size_data_for_model, self.input_warping, self.constraint_attr is not None, exponent
        )

    # ------------------------------------------------------------------ what trials show

    def on_trial_add(self, trial_id: int, config: Config) -> None:
        """From now on the trial is pending."""
        if self._observations is not None:
            self._observations.begin(trial_id, self._encoder.row(config))

    def on_trial_resume(self, trial_id: int, config: Config) -> None:
        """It is pending again, at its next level."""
        self.on_trial_add(trial_id, config)

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """Kept, if it is of a level, or may be the last."""
        if self._observations is not None:
            self._observations.report(trial_id, result)

    def on_trial_complete(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """It is not pending any more."""
        if self._observations is not None:
            self._observations.end(trial_id)

    def on_trial_error(self, trial_id: int, config: Config) -> None:
        """It counts like the worst one."""
        if self._observations is not None:
            self._observations.fail(trial_id)

    def on_trial_remove(self, trial_id: int, config: Config) -> None:
        """It is not pending any more; what it has shown counts."""
        if self._observations is not None:
            self._observations.end(trial_id)


def _propose(snapshot: Snapshot) -> Proposal:
    """Imports torch, which takes seconds, when it is first needed."""
    from cloudtune.optimizer.searchers.bayesian.proposal import propose

    return propose(snapshot)
