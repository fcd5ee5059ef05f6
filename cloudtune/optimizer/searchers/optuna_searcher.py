"""Optuna's samplers (Akiba et al. 2019, "Optuna", KDD) as a searcher: TPE, CMA-ES, NSGA-II, Gaussian processes ..."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from cloudtune.config_space import complete_config, config_key, search_space
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.searchers.observed_costs import Costs, ObservedCosts
from cloudtune.optimizer.searchers.optuna_domains import parameters
from cloudtune.optimizer.searchers.optuna_samplers import SamplerSource, described, quiet
from cloudtune.optimizer.searchers.optuna_study import Asked, OptunaStudy, Told, worst_instead
from cloudtune.optimizer.searchers.random_searcher import RandomSearcher
from cloudtune.trial import Config

#: How often a sampler is asked before a random configuration takes the place of those that are known already.
_MAX_ASKS = 3

#: Numbers of the random streams for samplers; random search uses those below.
_STREAM = 200


class Proposal(NamedTuple):
    """What a sampler has proposed that is new, at which attempt, from 0; None: nothing."""

    attempt: int = 0
    asked: Asked | None = None


class OptunaSearcher(RandomSearcher):
    """Proposes what a sampler of Optuna proposes.

    Every suggestion is made by a fresh copy of the sampler, whose random numbers are keyed by the suggestion's number,
    on a study that holds all trials so far. What a sampler notes in the study (NSGA-II, QMC) is logged with the
    suggestion; CMA-ES, whose notes are pickles, is asked again instead. An experiment that is continued therefore goes
    on as it would have. What a sampler keeps in itself from one suggestion to the next is lost: Optuna's GP sampler
    fits each model from scratch. A sampler of one's own is reproducible if it draws from ``numpy.random.RandomState``
    attributes and keeps its state in the study. Sampling is done beside the tuner's loop, but for CMA-ES.

    The sampler sees costs to be minimised. Running trials are running; a trial that was stopped has its last value.
    Failed trials, and values that are not finite, count as the worst value that there was. Under a scheduler with rung
    levels the values are those at the highest level that more trials have reached than there are hyperparameters (as
    in BOHB, Falkner et al. 2018); those that ended below are pruned trials, which TPE learns from. NSGA-II and NSGA-III
    go back to the parents of earlier generations, which must keep values: each trial has those at the highest level
    that it has reached itself.

    Args:
        config_space, points_to_evaluate, random_seed: See :class:`~cloudtune.optimizer.searchers.searcher.Searcher`.
        sampler: ``"tpe"``, ``"cmaes"``, ``"nsgaii"``, ``"nsgaiii"``, ``"gp"``, ``"qmc"``, ``"random"``, or an Optuna
            sampler (whose seed is replaced).
        sampler_options: Keyword arguments of the sampler, where it is given by name.
        allow_duplicates: False: no configuration is proposed twice; a random one takes its place, and when a finite
            space is used up, there is no further one.

    Raises:
        ConfigSpaceError: The space, or one of the points, is wrong.
        ValueError: The sampler is not known or cannot be used.
        MissingExtra: Optuna, or what the sampler needs, is not installed.
    """

    def __init__(
        self,
        config_space: Mapping[str, Any],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        sampler: Any = "tpe",
        sampler_options: Mapping[str, Any] | None = None,
        allow_duplicates: bool = False,
    ) -> None:
        super().__init__(config_space, points_to_evaluate, random_seed, allow_duplicates)
        self._source = SamplerSource(sampler, sampler_options)
        self.libraries = self._source.libraries
        self._options = described(sampler_options)
        with quiet():
            self._parameters = parameters(search_space(self.config_space))
        self._study: OptunaStudy | None = None
        self._costs: ObservedCosts | None = None
        self._levels = 0
        # By number of the suggestion.
        self._params: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._study_notes: dict[str, Any] = {}
        self._running: set[int] = set()
        self._numbers: dict[int, int] = {}
        # What was computed aside, with the number of the suggestion that it is for.
        self._taken: tuple[int, Proposal] | None = None
        # The proposal that was made last.
        self._proposed: Proposal | None = None
        self._recalled: Mapping[str, Any] = {}
        self._memo: dict[str, Any] | None = None

    def aim(self, goal: Goal) -> None:
        """Told what is optimised.

        Raises:
            ValueError: There are several metrics, and the sampler is for one.
        """
        if len(goal.metrics) > 1 and self._source.name == "CmaEsSampler":
            raise ValueError(
                f"Optuna's CmaEsSampler optimises one metric, got {', '.join(goal.metrics)}; "
                "use 'nsgaii' or 'tpe', or name one metric"
            )
        super().aim(goal)
        self._costs = ObservedCosts(goal)
        self._levels = len(goal.levels) if goal.resource_attr is not None else 0
        self._study = OptunaStudy(self._parameters, len(goal.metrics))

    def settings(self) -> dict[str, Any]:
        """The sampler and its options."""
        return {**super().settings(), "sampler": self._source.name, "sampler_options": self._options}

    def work(self) -> Callable[[], Proposal | None] | None:
        """Asking the sampler.

        Not where it must be asked again when the experiment continues (CMA-ES, which is quick): then it would be told
        what trials have shown until the suggestion, and beside the loop what they had shown when that began.
        """
        self._taken = None
        if self.num_suggestions < len(self.points_to_evaluate) or self._source.notes_are_pickles:
            return None
        return None if self._is_used_up() else self._search()

    def take(self, result: Proposal | None) -> None:
        """Keeps the proposal for the next suggestion."""
        self._taken = None if result is None else (self.num_suggestions, result)

    def suggest(self) -> Config | None:
        """The sampler's proposal; a random configuration if it proposes but known ones; None if all are known."""
        random = super().suggest()
        if random is None:
            return None
        if self._taken is not None and self._taken[0] == self.num_suggestions:
            proposed: Proposal | None = self._taken[1]
        else:
            search = self._search()
            proposed = None if search is None else search()
        if proposed is None or proposed.asked is None:
            return random
        self._proposed = proposed
        return self._config(proposed.asked)

    def _search(self) -> Callable[[], Proposal] | None:
        """What makes the next proposal, on copies of what it needs; None if there is nothing to propose."""
        if self._study is None or not self._parameters:
            return None
        asks = self._asks()
        known = frozenset() if self.allow_duplicates else frozenset(self._seen)

        def search() -> Proposal:
            for attempt, asked in enumerate(asks()):
                if config_key(self.config_space, self._config(asked)) not in known:
                    return Proposal(attempt, asked)
            return Proposal()

        return search

    def _asks(self) -> Callable[[], Iterator[Asked]]:
        """What gives the sampler's proposal for the next suggestion, and those that it makes if that is not wanted."""
        assert self._study is not None
        study, number, source = self._study, len(self._params), self._source
        trials = list(self._params), list(self._notes), self._told(), dict(self._study_notes)
        seeds = [self._seed(number, _STREAM + attempt) for attempt in range(1, _MAX_ASKS + 1)]
        seed_of_all = self._seed(0, _STREAM)

        def asks() -> Iterator[Asked]:
            opened = study.open(*trials)
            for seed in seeds:
                yield opened.ask(source.make(seed, seed_of_all))

        return asks

    def _seed(self, number: int, attempt: int) -> int:
        return int(self.random.generator(number, attempt).integers(2**32))

    def _config(self, asked: Asked) -> Config:
        values = {name: self._parameters[name].decode(value) for name, value in asked.params.items()}
        return complete_config(self.config_space, values)

    def _told(self) -> list[Told]:
        """What the sampler is told of every trial, in the order of the suggestions."""
        assert self._costs is not None
        if self._source.keeps_generations:  # a parent must never be without values again
            observed, worst = self._costs.at_own_highest(), self._costs.worst()
        else:
            observed = self._costs.at_highest(len(self._parameters) + 1 if self._levels > 1 else 1)
            finite = [costs for costs in observed.values() if all(map(math.isfinite, costs))]
            worst = tuple(map(max, zip(*finite, strict=True)))
        return [self._told_of(number, observed.get(number), worst) for number in range(len(self._params))]

    def _told_of(self, number: int, costs: Costs | None, worst: Costs) -> Told:
        assert self._costs is not None
        if number in self._costs.failed:
            return Told("COMPLETE", worst) if worst else Told("FAIL")
        if costs is not None:
            return worst_instead(costs, worst or costs)
        if number in self._running:
            return Told("RUNNING")
        last, resource = self._costs.last.get(number, ((math.inf,), 0))
        return Told("PRUNED", last, resource) if len(last) == 1 and math.isfinite(last[0]) else Told("FAIL")

    # ------------------------------------------------------------------ suggestions that were made

    def memo(self) -> dict[str, Any] | None:
        """What the sampler noted with the last suggestion, and parameters that do not follow from its values."""
        return self._memo

    def recall(self, memo: Mapping[str, Any]) -> None:
        """Told what the sampler had noted."""
        self._recalled = memo

    def on_suggestion(self, config: Config) -> None:
        """The configuration is a running trial from now on, with what the sampler has noted of it."""
        (attempt, asked), self._proposed = self._proposed or Proposal(), None
        recalled, self._recalled = self._recalled, {}
        params = {name: parameter.encode(config[name]) for name, parameter in self._parameters.items()}
        if asked is not None:
            recalled = self._noted(attempt, asked, params)
        elif "attempt" in recalled:
            asked = self._ask_again(config, recalled["attempt"])
        self._memo = dict(recalled) or None
        self._seen.add(config_key(self.config_space, config))
        self._running.add(len(self._params))
        self._params.append({**params, **recalled.get("params", {})})
        pickled = asked if self._source.notes_are_pickles else None
        self._notes.append(dict(recalled.get("trial", {})) if pickled is None else pickled.trial_notes)
        self._study_notes.update(recalled.get("study", {}))

    def _noted(self, attempt: int, asked: Asked, params: Mapping[str, Any]) -> dict[str, Any]:
        """The memo of a proposal. Pickles do not go there: who continues an experiment asks again instead."""
        memo: dict[str, Any] = {
            "params": {name: value for name, value in asked.params.items() if value != params[name]}
        }
        if self._source.notes_are_pickles:
            memo["attempt"] = attempt
        else:
            memo.update(trial=asked.trial_notes, study=asked.study_notes)
        # As it is when it comes from a log: a tuple is a list there.
        filled = {key: value for key, value in memo.items() if value or key == "attempt"}
        return dict(json.loads(json.dumps(filled)))

    def _ask_again(self, config: Config, attempt: int) -> Asked | None:
        """What the sampler proposed; None if another version of it now proposes something else."""
        asked = next(islice(self._asks()(), attempt, None))
        return asked if self._config(asked) == config else None

    # ------------------------------------------------------------------ what becomes of trials

    def on_trial_add(self, trial_id: int, config: Config) -> None:
        """The trial is of the first suggestion that has none yet."""
        if len(self._numbers) < len(self._params):
            self._numbers[trial_id] = len(self._numbers)

    def on_trial_resume(self, trial_id: int, config: Config) -> None:
        """The trial runs again."""
        if trial_id in self._numbers:
            self._running.add(self._numbers[trial_id])

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """Learns values, at the rung levels that are reached."""
        if self._costs is not None and trial_id in self._numbers:
            self._costs.report(self._numbers[trial_id], result)

    def on_trial_complete(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        """The trial's last values count."""
        self._end(trial_id)

    def on_trial_remove(self, trial_id: int, config: Config) -> None:
        """The last values of a trial that was stopped count as well."""
        self._end(trial_id)

    def on_trial_error(self, trial_id: int, config: Config) -> None:
        """The trial counts as one of the worst."""
        if self._costs is not None and trial_id in self._numbers:
            self._costs.fail(self._numbers[trial_id])
            self._running.discard(self._numbers[trial_id])

    def _end(self, trial_id: int) -> None:
        if self._costs is not None and trial_id in self._numbers:
            self._costs.end(self._numbers[trial_id])
            self._running.discard(self._numbers[trial_id])
