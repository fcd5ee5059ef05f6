"""Asynchronous successive halving (ASHA) and asynchronous Hyperband.

Sources: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (MLSys; first as arXiv:1810.05934 in
2018), algorithm 2, for promotion; stopping makes the same comparison once, when a trial arrives, so that no trial ever
waits. Li et al. 2017, "Hyperband" (JMLR 18), algorithm 1, for brackets. Bohdal et al. 2023, "PASHA" (ICLR), for a
maximum that grows.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.randomness import KeyedRandom
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers.brackets import (
    AnyBracket,
    PromotionBracket,
    RungToWaitAt,
    StoppingBracket,
    Track,
)
from cloudtune.optimizer.schedulers.kept_checkpoints import KeptCheckpoints
from cloudtune.optimizer.schedulers.pasha import PashaBracket
from cloudtune.optimizer.schedulers.resource_levels import (
    below_its_level,
    check_brackets,
    is_positive_integer,
    max_resource,
    resource_levels,
    unusable_report,
)
from cloudtune.optimizer.schedulers.rungs import PromotionRung, bracket_weights, rank_value
from cloudtune.optimizer.schedulers.searcher_scheduler import SearcherScheduler
from cloudtune.optimizer.searchers import Searcher
from cloudtune.trial import Trial

logger = logging.getLogger(__name__)

BRACKET_TYPES: dict[str, type[StoppingBracket | PromotionBracket]] = {
    "stopping": StoppingBracket,
    "promotion": PromotionBracket,
    "pasha": PashaBracket,
}


class HyperbandScheduler(SearcherScheduler):
    """Trains many configurations a little and few to the end.

    A trial is compared with the others when it reaches a rung level, a resource of ``grace_period``, and then
    ``reduction_factor`` times as much each time. With ``type="stopping"`` it runs on if it belongs to the best of
    those that were there so far, else it is stopped. Who belongs to the best is the share ``level / next_level``, which
    is 1 / ``reduction_factor``, but for rounding and for the last rung: with 100 epochs at most and the factor 3, whose
    levels are 1, 3, 9, 27 and 81, 81 % of the trials go on from 81 to 100. Choose a maximum that is a power of the
    factor (here 81) times ``grace_period`` if that is not wanted. With ``type="promotion"`` it pauses at
    every rung, and is resumed if and when it belongs to the best; scripts should then save checkpoints, or a resumed
    trial starts anew. ``type="pasha"`` is promotion with a maximum that is the second level at first, and grows by one
    level whenever the ranking at the highest level so far differs from that of the same trials one level below by more
    than noise (Bohdal et al. 2023); metrics should then be reported at every epoch, for the noise is judged from
    learning curves that cross and cross again. NaN and infinite metric values rank worst; with ``type="stopping"`` a
    trial that reports one at a rung is stopped there, unless it is the first, however many others have diverged too.

    A report that jumps over rung levels counts for each of them. A trial is stopped when it reaches the maximum
    resource, unless ``max_resource_attr`` is given: then its script ends by itself. If it ends by itself below a rung
    level that it was told, its last report counts at that level, and the trial waits there like one that has paused.

    Args:
        config_space: Hyperparameter domains and constants.
        searcher: ``"random"``, ``"grid"``, a :class:`~cloudtune.optimizer.searchers.searcher.Searcher` class or object.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far, from 1.
        max_resource_attr: Key of the config space whose constant is the maximum resource. Unless ``type="stopping"``,
            scripts get the next rung level under this key, so that they end there by themselves.
        max_t: The maximum resource, where there is no ``max_resource_attr``.
        grace_period: First rung level.
        reduction_factor: Ratio of rung levels, above 1.
        brackets: Number of brackets. Bracket ``s`` (from 0) has rungs of its own, from the ``s``-th level on; each
            trial belongs to one at random, so that all brackets use about the same resource.
        type: ``"stopping"``, ``"promotion"`` or ``"pasha"``.
        rung_levels: Rung levels below the maximum resource, in place of ``grace_period`` and ``reduction_factor``.
        max_num_checkpoints: So many paused trials at most keep their checkpoints, where the backend deletes checkpoints
            at all (``delete_checkpoints=True``). The others are those that will hardly be promoted, by their ranks; one
            that is promoted all the same starts anew. None: all keep theirs.
        points_to_evaluate, random_seed, search_options: See
            :class:`~cloudtune.optimizer.schedulers.fifo.FIFOScheduler`.

    Raises:
        ConfigSpaceError: The config space or one of the points is wrong.
        ValueError: Another argument is wrong; the message names it and says what to pass.
    """

    resource_attr: str

    #: Whether the rungs of this class can rank several metrics.
    _ranks_several = False

    #: What ``type`` may be.
    _types: Sequence[str] = tuple(BRACKET_TYPES)

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        searcher: str | type[Searcher] | Searcher = "random",
        *,
        metric: str | Sequence[str],
        mode: str | Sequence[str] = "min",
        resource_attr: str,
        max_resource_attr: str | None = None,
        max_t: int | None = None,
        grace_period: int = 1,
        reduction_factor: float = 3,
        brackets: int = 1,
        type: str = "stopping",  # noqa: A002 - the name the field knows
        rung_levels: Sequence[int] | None = None,
        max_num_checkpoints: int | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        search_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config_space, searcher, metric, mode, points_to_evaluate, random_seed, search_options)
        if not self._single and not self._ranks_several:
            raise ValueError(
                f"metric must be one name, got {metric!r}; several objectives need MOASHA or FIFOScheduler"
            )
        if not resource_attr:
            raise ValueError(f"resource_attr must name what the script reports as its epoch, got {resource_attr!r}")
        if type not in self._types:
            raise ValueError(f"type must be one of {', '.join(map(repr, self._types))}, got {type!r}")
        self.resource_attr = resource_attr
        self.max_resource_attr = max_resource_attr
        self.type = type
        self.max_t = max_resource(self.config_space, max_resource_attr, max_t)
        self.rung_levels = resource_levels(rung_levels, grace_period, reduction_factor, self.max_t)
        self.grace_period = int(grace_period) if rung_levels is None else None
        self.reduction_factor = float(reduction_factor) if rung_levels is None else None
        self.brackets = check_brackets(brackets, self.rung_levels)
        self._metric = self._metrics[0]
        self._maximize = self._modes[0] == "max"
        self._brackets = [self._make_bracket(self.rung_levels[s:]) for s in range(self.brackets)]
        self._shares = list(accumulate(bracket_weights(self.rung_levels, self.brackets)))[:-1]
        self._bracket_random = KeyedRandom(self.random_seed, stream="bracket")
        # Brackets of the trials that were suggested and not added yet, in order.
        self._suggested: deque[AnyBracket] = deque()
        self._tracks: dict[int, Track] = {}
        rungs = [rung for bracket in self._brackets if isinstance(bracket, PromotionBracket) for rung in bracket.rungs]
        self._from_the_top = sorted(rungs, key=lambda rung: -rung.level)
        self._kept = self._keep_checkpoints(max_num_checkpoints, rungs)
        self._announced = False
        self._warned = False
        self._aim(self.max_t, self.rung_levels)

    def _make_bracket(self, levels: Sequence[int]) -> AnyBracket:
        """A bracket of this scheduler's type with the given levels."""
        return BRACKET_TYPES[self.type](levels)

    def _keep_checkpoints(self, limit: int | None, rungs: Sequence[RungToWaitAt]) -> KeptCheckpoints | None:
        self.max_num_checkpoints = limit
        if limit is None:
            return None
        if not is_positive_integer(limit):
            raise ValueError(f"max_num_checkpoints must be a positive integer, got {limit!r}")
        if self.type == "stopping":
            raise ValueError(
                f"max_num_checkpoints={limit} is for paused trials, and with type='stopping' there are none; "
                "leave it out, or use type='promotion'"
            )
        for rung in rungs:
            if not isinstance(rung, PromotionRung):
                raise ValueError(
                    f"max_num_checkpoints={limit} needs paused trials to be ranked by one metric; leave it out"
                )
            rung.keep_ranks()
        return KeptCheckpoints(limit)

    def metadata(self) -> dict[str, Any]:
        """As for every scheduler, and what makes the rungs; what was replaced by ``rung_levels`` is None."""
        return {
            **super().metadata(),
            "type": self.type,
            "grace_period": self.grace_period,
            "reduction_factor": self.reduction_factor,
            "max_t": self.max_t,
            "rung_levels": list(self.rung_levels),
            "brackets": self.brackets,
            "max_num_checkpoints": self.max_num_checkpoints,
        }

    def set_random_seed(self, random_seed: int) -> None:
        """Replaces the seed of scheduler and searcher, before the first suggestion."""
        super().set_random_seed(random_seed)
        self._bracket_random = KeyedRandom(self.random_seed, stream="bracket")

    # ------------------------------------------------------------------ suggestions

    def _suggest(self) -> TrialSuggestion | None:
        if not self._announced:
            self._announce()
        for rung in self._from_the_top:
            trial_id = rung.promotable()
            if trial_id is not None:
                return self._promote(trial_id, rung)
        config = self.searcher.next_config()
        if config is None:
            return None
        bracket = self._draw_bracket()
        if self.max_resource_attr is not None and self.type != "stopping":
            # A new dictionary: the searcher may keep its own.
            config = {**config, self.max_resource_attr: bracket.levels[0]}
        self._suggested.append(bracket)
        return self._start(config)

    def work(self) -> Callable[[], Any] | None:
        """The searcher's, if a new configuration is what comes next."""
        return None if any(rung.promotable() is not None for rung in self._from_the_top) else super().work()

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is not None:
            self._resume(suggestion.trial_id)
            return
        config = self._restored_config(suggestion)
        if self.max_resource_attr is not None:
            config = {**config, self.max_resource_attr: self.config_space[self.max_resource_attr]}
        self.searcher.restore(config, suggestion.memo)
        self._suggested.append(self._draw_bracket())

    def _draw_bracket(self) -> AnyBracket:
        """The bracket of the suggestion that is being made: it depends on nothing but the suggestion's number."""
        if not self._shares:
            return self._brackets[0]
        u = self._bracket_random.uniform_row(self.num_suggestions, 1)[0]
        return self._brackets[bisect_right(self._shares, u)]

    def _promote(self, trial_id: int, rung: RungToWaitAt) -> TrialSuggestion:
        track = self._resume(trial_id)
        if self.max_resource_attr is None:
            return TrialSuggestion.resume_suggestion(trial_id)
        config = {**track.config, self.max_resource_attr: rung.next_level}
        return TrialSuggestion.resume_suggestion(trial_id, config)

    def _resume(self, trial_id: int) -> Track:
        track = self._tracks.get(trial_id)
        if track is None or track.pause is None:
            raise ValueError(
                f"trial {trial_id} cannot be resumed since it does not wait at a rung; "
                "continue the experiment with the scheduler it began with"
            )
        self._leave(trial_id, track.pause[0])
        track.pause = None
        track.level = track.bracket.attention(track)
        self.searcher.on_trial_resume(trial_id, track.config)
        return track

    def _announce(self) -> None:
        self._announced = True
        *rungs, end = self.rung_levels
        what = {
            "stopping": "stopped unless among the best",
            "promotion": "paused, and resumed when among the best",
            "pasha": "paused, and resumed when among the best and as far as rankings have not settled",
        }
        logger.info(
            "Trials are compared at %s = %s and %s there; they end at %d%s.",
            self.resource_attr,
            ", ".join(map(str, rungs)) or "no level",
            what[self.type],
            end,
            f" ({self.brackets} brackets)" if self.brackets > 1 else "",
        )

    # ------------------------------------------------------------------ what becomes of trials

    def on_trial_add(self, trial: Trial) -> None:
        """A new trial is about to start, in the bracket drawn for its suggestion (the first, if there was none)."""
        bracket = self._suggested.popleft() if self._suggested else self._brackets[0]
        self._tracks[trial.trial_id] = bracket.begin(trial.config)
        super().on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """Answers PAUSE or STOP at a rung level as described above, else CONTINUE; STOP for a trial that is not known.

        Raises:
            ValueError: The report lacks ``resource_attr`` or the metric, or they are no numbers.
        """
        trial_id = trial.trial_id
        self.searcher.on_trial_result(trial_id, trial.config, result)
        track = self._tracks.get(trial_id)
        if track is None:
            return SchedulerDecision.STOP
        try:
            resource = result[self.resource_attr]
            if resource < track.level:
                return SchedulerDecision.CONTINUE
            value = self._value(result)
        except (KeyError, TypeError) as error:
            raise unusable_report(trial_id, result, self.resource_attr, self._metrics) from error
        return self._at_level(trial_id, track, resource, value)

    def _value(self, result: dict[str, Any]) -> Any:
        """What the rungs rank a report by."""
        return rank_value(result[self._metric], self._maximize)

    def _at_level(self, trial_id: int, track: Track, resource: float, value: Any) -> str:
        if track.pause is not None:
            return SchedulerDecision.PAUSE
        decision = track.bracket.reach(track, resource, value)
        if resource > self.max_t or (resource == self.max_t and self.max_resource_attr is None):
            decision = SchedulerDecision.STOP
        if decision == SchedulerDecision.STOP:
            del self._tracks[trial_id]
        return decision

    def on_script_end(self, trial: Trial, result: dict[str, Any]) -> str:
        """PAUSE for a script that was told a rung level and has ended before it: its last result counts at the level.

        So it is with a script that counts epochs from 0, or reports only some of them. Where scripts are not told the
        levels, and for one that was told the maximum, the answer is CONTINUE.
        """
        trial_id = trial.trial_id
        track = self._tracks.get(trial_id)
        if track is None or track.pause is not None or self.max_resource_attr is None:
            return SchedulerDecision.CONTINUE
        bracket = track.bracket
        if not isinstance(bracket, PromotionBracket):
            return SchedulerDecision.CONTINUE
        level = bracket.fall_short(track, self._value(result))
        if level is None:
            return SchedulerDecision.CONTINUE
        if not self._warned:
            self._warned = True
            logger.warning(below_its_level(trial_id, result, self.resource_attr, self.max_resource_attr, level))
        self.searcher.on_trial_result(trial_id, trial.config, {**result, self.resource_attr: level})
        return SchedulerDecision.PAUSE

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """A script that ended at its rung level, as it was told to, has paused; any other will not run again."""
        track = self._tracks.get(trial.trial_id)
        if track is not None and track.pause is not None and self.max_resource_attr is not None:
            self._wait(trial.trial_id, track)
        else:
            self._tracks.pop(trial.trial_id, None)
        super().on_trial_complete(trial, result)

    def on_trial_error(self, trial: Trial) -> None:
        """The trial will not run again. Its results stay in their rungs."""
        track = self._tracks.pop(trial.trial_id, None)
        if track is not None and track.pause is not None:
            self._leave(trial.trial_id, track.pause[0])
        super().on_trial_error(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        """A trial that was told to pause has done so, and can be promoted from now on; another one was stopped."""
        track = self._tracks.get(trial.trial_id)
        if track is not None and track.pause is not None:
            self._wait(trial.trial_id, track)
        else:
            self._tracks.pop(trial.trial_id, None)
        super().on_trial_remove(trial)

    def _wait(self, trial_id: int, track: Track) -> None:
        assert track.pause is not None
        rung, entry = track.pause
        rung.wait(trial_id, entry)
        if self._kept is not None:
            assert isinstance(rung, PromotionRung)
            self._kept.pause(trial_id, rung, entry)

    def _leave(self, trial_id: int, rung: RungToWaitAt) -> None:
        """A trial that had paused at a rung goes on, or never will."""
        rung.leave(trial_id)
        if self._kept is not None:
            self._kept.go_on(trial_id)

    def expendable_checkpoints(self) -> Sequence[int]:
        """Paused trials beyond ``max_num_checkpoints``."""
        return () if self._kept is None else self._kept.take_expendable()
