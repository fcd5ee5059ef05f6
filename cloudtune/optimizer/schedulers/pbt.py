"""Population-based training.

Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks" (arXiv:1711.09846), algorithm 1, with
truncation selection (section 4.1.1) between trials that are not synchronised.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from cloudtune.config_domains import plain_value
from cloudtune.optimizer.argument_checks import is_comparable
from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers.perturbation import explored
from cloudtune.optimizer.schedulers.population import Member, Ranking
from cloudtune.optimizer.schedulers.resource_levels import is_positive_integer, max_resource, unusable_report
from cloudtune.optimizer.schedulers.rungs import rank_value
from cloudtune.optimizer.schedulers.searcher_scheduler import SearcherScheduler
from cloudtune.optimizer.searchers import Searcher
from cloudtune.trial import Trial

#: Key of a memo: the searcher has no configuration left for a new member.
_EXHAUSTED = "exhausted"


class PopulationBasedTraining(SearcherScheduler):
    """Trains a population; its bad members give way to copies of good ones with other hyperparameters.

    A member is compared with the others each time it has used ``perturbation_interval`` more of the resource, by what
    each reported when it was compared last. If it is at the bottom, it is stopped, and a new trial takes its place: it
    starts from a copy of the checkpoint of a member at the top, chosen at random, with that one's hyperparameters
    perturbed. The new trial goes on counting the resource where the copy begins. So scripts must save checkpoints, and
    save before they report. A member that fails or is stopped by somebody is replaced as well, by a new configuration
    if there is nobody to copy. NaN and infinite values rank worst, and such a member is never copied.

    There are never more than ``population_size`` members, however many workers. With fewer workers than members these
    take turns: one that has been compared pauses if another that waits has used less of the resource. A copy that is to
    be made waits like a member that has used as much as its source; of equals, the one that has waited longest is next.
    A member that has used the maximum resource, or whose script ends, is done; the experiment ends when all are.

    Args:
        config_space: Hyperparameter domains and constants.
        searcher: Where the configurations of the first members come from: ``"random"``, ``"grid"``, a
            :class:`~cloudtune.optimizer.searchers.searcher.Searcher` class or object. It must not be restricted to
            given configurations, since copies have others.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far.
        max_resource_attr: Key of the config space whose constant is the maximum resource, at which scripts end by
            themselves.
        max_t: The maximum resource, where there is no ``max_resource_attr``. If neither is given, scripts end when they
            like.
        population_size: Number of members, at least 2.
        perturbation_interval: Resource after which a member is compared again.
        quantile_fraction: The share of the population that is at the top, and that is at the bottom: one member at
            least, and at most 0.5. Nobody gives way before more than half of the members have been compared.
        resample_probability: Probability with which a hyperparameter is drawn anew instead of perturbed.
        perturbation_factors: A number is multiplied by one of these at random. Of listed values a neighbour is taken:
            the next one for a factor above 1, else the one before.
        points_to_evaluate, random_seed, search_options: See
            :class:`~cloudtune.optimizer.schedulers.fifo.FIFOScheduler`.

    Raises:
        ConfigSpaceError: The config space or one of the points is wrong.
        ValueError: Another argument is wrong; the message names it and says what to pass.
    """

    resource_attr: str

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        searcher: str | type[Searcher] | Searcher = "random",
        *,
        metric: str,
        mode: str = "min",
        resource_attr: str = "epoch",
        max_resource_attr: str | None = None,
        max_t: int | None = None,
        population_size: int = 4,
        perturbation_interval: float = 5,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: Sequence[float] = (1.2, 0.8),
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        search_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config_space, searcher, metric, mode, points_to_evaluate, random_seed, search_options)
        if self.searcher.is_restricted:
            raise ValueError(
                "population-based training cannot keep to restrict_configurations, since it perturbs the "
                "hyperparameters of copies; leave the list out, and simulate with add_surrogate(blackbox), which has "
                "curves for configurations that a table lacks"
            )
        if not self._single:
            raise ValueError(
                f"metric must be one name, got {metric!r}; several objectives need MOASHA or FIFOScheduler"
            )
        if not resource_attr:
            raise ValueError(f"resource_attr must name what the script reports as its epoch, got {resource_attr!r}")
        _check_population(population_size, perturbation_interval, quantile_fraction)
        factors = _check_exploring(resample_probability, perturbation_factors)
        self.resource_attr = resource_attr
        self.max_resource_attr = max_resource_attr
        ends_somewhere = max_t is not None or max_resource_attr is not None
        self.max_t = max_resource(self.config_space, max_resource_attr, max_t) if ends_somewhere else None
        if self.max_t is not None and perturbation_interval >= self.max_t:
            raise ValueError(
                f"perturbation_interval={perturbation_interval!r} must be below the maximum resource {self.max_t}, or "
                "no member is ever compared with another; choose a tenth to a third of the maximum"
            )
        self.population_size = int(population_size)
        self.perturbation_interval = float(perturbation_interval)
        self.quantile_fraction = float(quantile_fraction)
        self.resample_probability = float(resample_probability)
        self.perturbation_factors = factors
        self._maximize = self._modes[0] == "max"
        #: Places that nobody has had yet.
        self._fresh = self.population_size
        #: Who waits for a worker, the one that has waited longest first; None is a vacant place.
        self._queue: list[Member | None] = []
        #: Of the vacant places those whose member did not give way to another, but failed or was stopped.
        self._lost = 0
        #: Whether a vacant place has waited while a member was resumed: there are too few workers.
        self._passed_over = False
        self._is_exhausted = False
        # Where the trials begin that were suggested and not added yet, in order.
        self._coming: deque[float] = deque()
        self._members: dict[int, Member] = {}
        self._aim(self.max_t)

    def metadata(self) -> dict[str, Any]:
        """As for every scheduler, and what makes the population and changes it."""
        population = {
            "max_t": self.max_t,
            "population_size": self.population_size,
            "perturbation_interval": self.perturbation_interval,
            "quantile_fraction": self.quantile_fraction,
            "resample_probability": self.resample_probability,
            "perturbation_factors": self.perturbation_factors,
        }
        return {**super().metadata(), **plain_value(population)}

    # ------------------------------------------------------------------ suggestions

    def _suggest(self) -> TrialSuggestion | None:
        config = self.searcher.next_config() if self._asks_searcher() else None
        if config is not None:
            self._fill_place()
            return self._start(config)
        # Not noted before something is suggested: what is not logged must not change the state.
        memo = {_EXHAUSTED: True} if self._asks_searcher() else None
        rng = self.random_generator()
        sources = self._sources() if self._is_vacant() else []
        source = sources[int(rng.integers(len(sources)))] if sources else None
        resources = [(source if one is None else one, one) for one in self._queue]
        turns = [(begin.resource, place, one) for place, (begin, one) in enumerate(resources) if begin is not None]
        if not turns:
            return None
        *_, member = min(turns, key=lambda turn: turn[:2])
        if member is not None:
            suggestion = TrialSuggestion(config=None, trial_id=member.trial_id, memo=memo)
            self._resume(member.trial_id)
        else:
            assert source is not None
            suggestion = self._copy(source, memo, rng)
        self._is_exhausted |= memo is not None
        return suggestion

    def work(self) -> Callable[[], Any] | None:
        """The searcher's, if it is asked for a configuration next."""
        return super().work() if self._asks_searcher() else None

    def _asks_searcher(self) -> bool:
        """Whether a configuration of the searcher comes next, if it has one."""
        return not self._is_exhausted and (self._fresh > 0 or (self._lost > 0 and not self._sources()))

    def _is_vacant(self) -> bool:
        return None in self._queue

    def _ranking(self) -> Ranking:
        count = max(1, math.floor(self.population_size * self.quantile_fraction))
        return Ranking(list(self._members.values()), 0 if self._is_exhausted else self._fresh, count)

    def _sources(self) -> list[Member]:
        return self._ranking().top()

    def _copy(self, source: Member, memo: Mapping[str, Any] | None, rng: np.random.Generator) -> TrialSuggestion:
        """A new trial in a vacant place, from the source's checkpoint."""
        config = explored(self.config_space, source.config, self.resample_probability, self.perturbation_factors, rng)
        self._fill_vacancy(source.resource)
        return TrialSuggestion.start_suggestion(config, checkpoint_trial_id=source.trial_id, memo=memo)

    def _fill_place(self) -> None:
        """A configuration of the searcher takes a place that nobody has had yet, or else a vacant one."""
        if self._fresh:
            self._fresh -= 1
            self._coming.append(0.0)
        else:
            self._fill_vacancy(0.0)

    def _fill_vacancy(self, resource: float) -> None:
        self._queue.remove(None)
        self._lost = min(self._lost, self._queue.count(None))
        self._passed_over &= self._is_vacant()
        self._coming.append(resource)

    def _vacate(self, member: Member) -> None:
        """The place of a member, which runs no more, is there for another."""
        del self._members[member.trial_id]
        if member in self._queue:
            self._queue.remove(member)
        self._queue.append(None)
        self._lost += member.decision != SchedulerDecision.STOP

    def _resume(self, trial_id: int) -> None:
        member = self._members.get(trial_id)
        if member is None or member not in self._queue:
            raise ValueError(
                f"trial {trial_id} cannot be resumed since it is no member of the population that has paused; "
                "continue the experiment with the scheduler it began with"
            )
        self._queue.remove(member)
        self._passed_over = self._is_vacant()
        member.decision = None
        self.searcher.on_trial_resume(trial_id, member.config)

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is None and suggestion.checkpoint_trial_id is None:
            self.searcher.restore(self._restored_config(suggestion), suggestion.memo)
            self._fill_place()
            return
        self._is_exhausted |= bool((suggestion.memo or {}).get(_EXHAUSTED))
        if suggestion.trial_id is None:
            source = self._members.get(cast(int, suggestion.checkpoint_trial_id))
            self._fill_vacancy(0.0 if source is None else source.resource)
        else:
            self._resume(suggestion.trial_id)

    # ------------------------------------------------------------------ what becomes of trials

    def on_trial_add(self, trial: Trial) -> None:
        """A new trial is about to start: it is a member of the population now."""
        resource = self._coming.popleft() if self._coming else 0.0
        self._members[trial.trial_id] = Member(trial.trial_id, trial.config, resource)
        super().on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """Answers STOP to a member that gives way to another or is done, PAUSE to one whose turn is over.

        A trial that is no member is answered with STOP.

        Raises:
            ValueError: The report lacks ``resource_attr`` or the metric, or they are no numbers.
        """
        self.searcher.on_trial_result(trial.trial_id, trial.config, result)
        member = self._members.get(trial.trial_id)
        if member is None:
            return SchedulerDecision.STOP
        try:
            resource = float(result[self.resource_attr])
            value = rank_value(result[self._metrics[0]], self._maximize)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise unusable_report(trial.trial_id, result, self.resource_attr, self._metrics) from error
        if member.decision is not None:
            return member.decision
        if not math.isfinite(resource):
            return SchedulerDecision.CONTINUE
        decision = self._decide(member, resource, value)
        if decision != SchedulerDecision.CONTINUE:
            member.decision = decision
        return decision

    def _decide(self, member: Member, resource: float, value: float) -> str:
        member.resource = resource
        # The script may have found no checkpoint, and begun anew.
        member.since = min(member.since, resource)
        if self.max_t is not None and resource >= self.max_t:
            if resource == self.max_t and self.max_resource_attr is not None:
                return SchedulerDecision.CONTINUE
            del self._members[member.trial_id]
            return SchedulerDecision.STOP
        if resource - member.since < self.perturbation_interval:
            return SchedulerDecision.CONTINUE
        member.since = resource
        member.value = value
        if self._ranking().is_bad(member):
            member.value = None
            return SchedulerDecision.STOP
        return SchedulerDecision.PAUSE if self._another_is_behind(resource) else SchedulerDecision.CONTINUE

    def _another_is_behind(self, resource: float) -> bool:
        """Whether it is somebody else's turn when a member has used this much.

        A copy that has been passed over has waited longer than whoever pauses now, and so is next already if it begins
        at as much. If it was not passed over yet, a worker may be free for it.
        """
        if (self._fresh and not self._is_exhausted) or self._asks_searcher():
            return True
        if self._passed_over and any(source.resource <= resource for source in self._sources()):
            return True
        return any(member is not None and member.resource < resource for member in self._queue)

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """A member whose script has ended is done, unless another was to take its place."""
        member = self._members.get(trial.trial_id)
        if member is not None and member.decision == SchedulerDecision.STOP:
            self._vacate(member)
        elif member is not None:
            del self._members[trial.trial_id]
        super().on_trial_complete(trial, result)

    def on_trial_error(self, trial: Trial) -> None:
        """The place of a member that has failed is taken by another."""
        member = self._members.get(trial.trial_id)
        if member is not None:
            self._vacate(member)
        super().on_trial_error(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        """A member that was told to pause waits for its turn; the place of one that was stopped is taken by another."""
        member = self._members.get(trial.trial_id)
        if member is not None and member.decision == SchedulerDecision.PAUSE:
            self._queue.append(member)
        elif member is not None:
            self._vacate(member)
        super().on_trial_remove(trial)


def _check_population(population_size: int, perturbation_interval: float, quantile_fraction: float) -> None:
    if not is_positive_integer(population_size) or population_size < 2:
        raise ValueError(f"population_size must be an integer of at least 2, got {population_size!r}")
    if not is_comparable(perturbation_interval) or not 0 < perturbation_interval < math.inf:
        raise ValueError(
            f"perturbation_interval must be a positive number, got {perturbation_interval!r}; it counts the resource "
            "after which a trial is compared again"
        )
    if not is_comparable(quantile_fraction) or not 0 < quantile_fraction <= 0.5:
        raise ValueError(f"quantile_fraction must be above 0 and at most 0.5, got {quantile_fraction!r}; 0.25 is usual")


def _check_exploring(resample_probability: float, factors: Sequence[float]) -> tuple[float, ...]:
    """The factors, of which there is one at least."""
    if not is_comparable(resample_probability) or not 0 <= resample_probability <= 1:
        raise ValueError(f"resample_probability must be from 0 to 1, got {resample_probability!r}; 0.25 is usual")
    listed = tuple(factors) if isinstance(factors, Iterable) else ()
    if not listed or not all(is_comparable(factor) and 0 < factor < math.inf and factor != 1 for factor in listed):
        raise ValueError(
            f"perturbation_factors must be positive numbers other than 1, got {factors!r}; (1.2, 0.8) is usual"
        )
    return tuple(map(float, listed))
