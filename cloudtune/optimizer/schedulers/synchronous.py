"""Synchronous Hyperband and synchronous successive halving.

Source: Li et al. 2017, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18, algorithm 1.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers.halving import Halving, Place, rung_sizes
from cloudtune.optimizer.schedulers.resource_levels import (
    below_its_level,
    check_brackets,
    max_resource,
    resource_levels,
    unusable_report,
)
from cloudtune.optimizer.schedulers.rungs import rank_value
from cloudtune.optimizer.schedulers.searcher_scheduler import SearcherScheduler
from cloudtune.optimizer.searchers import Searcher
from cloudtune.trial import Config, Trial

logger = logging.getLogger(__name__)


class SynchronousHyperbandScheduler(SearcherScheduler):
    """Trains batches of configurations, and the best of each batch further, once all of it has been trained so far.

    A bracket of successive halving is a batch of new trials that pause at the first level. When the last of them has
    paused or ended, the best are resumed and train to the next level, and so on; the others never run again. The best
    are a share of ``level / next_level``: 1 / ``reduction_factor``, but for rounding and for the last level below the
    maximum (with 100 epochs at most and the factor 3, 81 % of those at 81).

    Hyperband takes brackets in turn that begin at different levels, the one with most trials first, and begins from
    the front after the last. With ``brackets=1`` this is successive halving, batch after batch.

    A rung whose last trials still run leaves workers free. These begin with the next bracket, since brackets do not
    depend on each other; within a bracket no trial goes on before all of its rung have ended, as in the paper. What an
    earlier bracket wants to run goes first.

    A trial that fails keeps its place in the rung and does not go on; so does one that ends by itself before its level,
    unless ``max_resource_attr`` tells scripts their levels: then its last result counts there. NaN and infinite metric
    values rank worst. If the searcher has nothing to propose, the last bracket goes on with the trials that wait
    in it, once none of it runs. Checkpoints of trials that do not go on can be deleted (``delete_checkpoints=True`` of
    the backend).

    Args:
        config_space: Hyperparameter domains and constants.
        searcher: ``"random"``, ``"grid"``, a :class:`~cloudtune.optimizer.searchers.searcher.Searcher` class or object.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far, from 1.
        max_resource_attr: Key of the config space whose constant is the maximum resource. Scripts get the level of
            their rung under this key, so that they end there by themselves.
        max_t: The maximum resource, where there is no ``max_resource_attr``.
        grace_period: First level.
        reduction_factor: Ratio of levels, above 1.
        brackets: Number of brackets that are taken in turn; None: as many as there are levels. Bracket ``s`` (from 0)
            begins at the ``s``-th level.
        rung_levels: Levels below the maximum resource, in place of ``grace_period`` and ``reduction_factor``.
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
        resource_attr: str,
        max_resource_attr: str | None = None,
        max_t: int | None = None,
        grace_period: int = 1,
        reduction_factor: float = 3,
        brackets: int | None = None,
        rung_levels: Sequence[int] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        search_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config_space, searcher, metric, mode, points_to_evaluate, random_seed, search_options)
        if not self._single:
            raise ValueError(f"metric must be one name, got {metric!r}; several objectives need MOASHA")
        if not resource_attr:
            raise ValueError(f"resource_attr must name what the script reports as its epoch, got {resource_attr!r}")
        self.resource_attr = resource_attr
        self.max_resource_attr = max_resource_attr
        self.max_t = max_resource(self.config_space, max_resource_attr, max_t)
        self.rung_levels = resource_levels(rung_levels, grace_period, reduction_factor, self.max_t)
        self.grace_period = int(grace_period) if rung_levels is None else None
        self.reduction_factor = float(reduction_factor) if rung_levels is None else None
        levels = self.rung_levels
        self.brackets = len(levels) if brackets is None else check_brackets(brackets, levels)
        self._maximize = mode == "max"
        #: Levels and sizes of the brackets that are taken in turn.
        self._plans = [(levels[s:], rung_sizes(levels[s:], len(levels))) for s in range(self.brackets)]
        self._num_begun = 0
        #: Brackets that are not over, the oldest first. New trials begin in the last one only.
        self._halvings: list[Halving] = []
        # Brackets of the trials that were suggested and not added yet, in order.
        self._suggested: deque[Halving] = deque()
        self._places: dict[int, Place] = {}
        self._expendable: list[int] = []
        self._announced = False
        self._warned = False
        self._aim(self.max_t, levels)

    def metadata(self) -> dict[str, Any]:
        """As for every scheduler, and what makes the brackets; what was replaced by ``rung_levels`` is None."""
        return {
            **super().metadata(),
            "grace_period": self.grace_period,
            "reduction_factor": self.reduction_factor,
            "max_t": self.max_t,
            "rung_levels": list(self.rung_levels),
            "brackets": self.brackets,
        }

    # ------------------------------------------------------------------ suggestions

    def _suggest(self) -> TrialSuggestion | None:
        if not self._announced:
            self._announce()
        place = self._next_ready()
        if place is not None:
            return self._go_on(place)
        config = self.searcher.next_config()
        if config is not None:
            halving = self._begin()
            return self._start(self._with_level(config, halving.levels[0]))
        # No bracket is cut where nothing can go on then: what is not logged must not change the state.
        if self._halvings and self._halvings[-1].can_be_cut:
            self._cut()
            place = self._next_ready()
        return None if place is None else self._go_on(place)

    def work(self) -> Callable[[], Any] | None:
        """The searcher's, if a new configuration is what comes next."""
        return super().work() if self._next_ready() is None else None

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is not None:
            self._resume(suggestion.trial_id)
            return
        config = self._restored_config(suggestion)
        self.searcher.restore(self._with_level(config, self.max_t), suggestion.memo)
        self._begin()

    def _next_ready(self) -> Place | None:
        """The trial to resume now, or None."""
        return next((halving.ready[0] for halving in self._halvings if halving.ready), None)

    def _begin(self) -> Halving:
        """The bracket in which the next new trial takes its place."""
        if not self._halvings or not self._halvings[-1].takes_new:
            self._halvings.append(Halving(*self._plans[self._num_begun % len(self._plans)]))
            self._num_begun += 1
        halving = self._halvings[-1]
        halving.begin()
        self._suggested.append(halving)
        return halving

    def _cut(self) -> None:
        """The searcher has nothing left now: the last bracket goes on with what it has."""
        halving = self._halvings[-1]
        halving.cut()
        self._clear_away(halving)

    def _go_on(self, place: Place) -> TrialSuggestion:
        self._resume(place.trial_id)
        if self.max_resource_attr is None:
            return TrialSuggestion.resume_suggestion(place.trial_id)
        return TrialSuggestion.resume_suggestion(place.trial_id, self._with_level(place.config, place.level))

    def _resume(self, trial_id: int) -> None:
        place = self._places.get(trial_id)
        if place is not None and place not in place.halving.ready and place.halving is self._halvings[-1]:
            # That it is resumed says that the searcher had nothing left.
            self._cut()
        if place is None or place not in place.halving.ready:
            raise ValueError(
                f"trial {trial_id} cannot be resumed since it is not among the best of a rung that is complete; "
                "continue the experiment with the scheduler it began with"
            )
        place.halving.resume(place)
        self.searcher.on_trial_resume(trial_id, place.config)

    def _with_level(self, config: Config, level: int) -> Config:
        """A configuration that tells the script how far to train, if it can be told."""
        return config if self.max_resource_attr is None else {**config, self.max_resource_attr: level}

    def _announce(self) -> None:
        self._announced = True
        brackets = "; ".join(
            ", ".join(f"{size} to {level}" for level, size in zip(levels, sizes, strict=True))
            for levels, sizes in self._plans
        )
        logger.info("Brackets of successive halving, trials by %s: %s.", self.resource_attr, brackets)

    # ------------------------------------------------------------------ what becomes of trials

    def on_trial_add(self, trial: Trial) -> None:
        """A new trial is about to start, in the bracket of its suggestion (or in that of the next, if it had none)."""
        if not self._suggested:
            self._begin()
        self._places[trial.trial_id] = Place(trial.trial_id, self._suggested.popleft(), trial.config)
        super().on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """Answers PAUSE at the level of the trial's rung, STOP at the maximum, else CONTINUE.

        At the maximum it is CONTINUE if ``max_resource_attr`` is given, for then the script ends by itself. STOP for a
        trial that is not known.

        Raises:
            ValueError: The report lacks ``resource_attr`` or the metric, or they are no numbers.
        """
        trial_id = trial.trial_id
        self.searcher.on_trial_result(trial_id, trial.config, result)
        place = self._places.get(trial_id)
        if place is None:
            return SchedulerDecision.STOP
        if place.is_pausing:
            return SchedulerDecision.PAUSE
        try:
            resource = result[self.resource_attr]
            if resource < place.level:
                return SchedulerDecision.CONTINUE
            value = rank_value(result[self._metrics[0]], self._maximize)
        except (KeyError, TypeError) as error:
            raise unusable_report(trial_id, result, self.resource_attr, self._metrics) from error
        if not place.is_ending:
            place.halving.record(place, resource, value)
        if place.is_pausing:
            return SchedulerDecision.PAUSE
        goes_on = resource <= self.max_t and self.max_resource_attr is not None
        return SchedulerDecision.CONTINUE if goes_on else SchedulerDecision.STOP

    def on_script_end(self, trial: Trial, result: dict[str, Any]) -> str:
        """PAUSE for a script that was told a level and has ended before it: its last result counts at the level.

        So it is with a script that counts epochs from 0, or reports only some of them. Where scripts are not told the
        levels, and for one that was told the maximum, or has reached it, the answer is CONTINUE.
        """
        trial_id = trial.trial_id
        place = self._places.get(trial_id)
        if place is None or place.is_pausing or place.is_ending:
            return SchedulerDecision.CONTINUE
        if self.max_resource_attr is None or place.level >= self.max_t:
            return SchedulerDecision.CONTINUE
        level = place.level
        place.halving.record(place, level, rank_value(result[self._metrics[0]], self._maximize))
        if not self._warned:
            self._warned = True
            logger.warning(below_its_level(trial_id, result, self.resource_attr, self.max_resource_attr, level))
        self.searcher.on_trial_result(trial_id, trial.config, {**result, self.resource_attr: level})
        return SchedulerDecision.PAUSE

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """A script that ended at its level, as it was told to, has paused; any other will not run again."""
        self._end(trial.trial_id, can_wait=self.max_resource_attr is not None)
        super().on_trial_complete(trial, result)

    def on_trial_error(self, trial: Trial) -> None:
        """The trial will not run again; its place in the rung is used."""
        self._end(trial.trial_id, can_wait=False)
        super().on_trial_error(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        """A trial that was told to pause has done so; another one was stopped, and its place in the rung is used."""
        self._end(trial.trial_id, can_wait=True)
        super().on_trial_remove(trial)

    def _end(self, trial_id: int, can_wait: bool) -> None:
        place = self._places.get(trial_id)
        if place is None:
            return
        waits = can_wait and place.is_pausing
        if not waits:
            del self._places[trial_id]
        place.halving.end(place, waits)
        self._clear_away(place.halving)

    def _clear_away(self, halving: Halving) -> None:
        """Forgets trials that will not run again, and a bracket that is over."""
        for place in halving.expendable:
            del self._places[place.trial_id]
            self._expendable.append(place.trial_id)
        halving.expendable.clear()
        if halving.is_over:
            self._halvings.remove(halving)

    def expendable_checkpoints(self) -> Sequence[int]:
        """Paused trials that were not among the best of their rung when it was complete: they never run again."""
        expendable, self._expendable = self._expendable, []
        return expendable
