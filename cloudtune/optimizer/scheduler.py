"""The contract of a scheduler: what to run next, and what becomes of a trial when it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudtune.config_validation import plain_config_space
from cloudtune.optimizer.randomness import KeyedRandom, checked_seed, draw_seed
from cloudtune.trial import Config, Trial


class SchedulerDecision:
    """What :meth:`TrialScheduler.on_trial_result` may answer."""

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"


@dataclass(frozen=True)
class TrialSuggestion:
    """What a scheduler wants run: a new trial (``trial_id`` None) or a paused one again.

    Args:
        config: Configuration of a new trial; for a paused one, its new configuration or None to keep the old.
        trial_id: The paused trial to resume, or None for a new trial.
        checkpoint_trial_id: For a new trial: start from a copy of this trial's checkpoint.
        memo: What the scheduler wants to be told again with this suggestion when the experiment is continued, in JSON
            values; None: nothing.
    """

    config: Config | None
    trial_id: int | None = None
    checkpoint_trial_id: int | None = None
    memo: Mapping[str, Any] | None = None

    @classmethod
    def start_suggestion(
        cls, config: Config, checkpoint_trial_id: int | None = None, memo: Mapping[str, Any] | None = None
    ) -> TrialSuggestion:
        """A new trial."""
        return cls(config=config, checkpoint_trial_id=checkpoint_trial_id, memo=memo)

    @classmethod
    def resume_suggestion(cls, trial_id: int, config: Config | None = None) -> TrialSuggestion:
        """A paused trial again."""
        return cls(config=config, trial_id=trial_id)


class TrialScheduler(ABC):
    """Decides what runs. To write one's own, implement :meth:`_suggest`, :meth:`on_trial_result`, :meth:`metric_names`.

    A scheduler does no input or output, reads no clock and no global random state. Randomness comes from
    ``self.random.generator(number)``, keyed by the number of the suggestion, so that an experiment that continues from
    its log never recomputes a suggestion and never drifts.

    The order of calls for one trial: ``suggest``, ``on_trial_add``, ``on_trial_result`` any number of times, then one
    of ``on_trial_complete``, ``on_trial_error``, ``on_trial_remove`` (stopped or paused); a paused trial may be
    suggested again. Where a script ends by itself without having been told to, ``on_script_end`` is asked before.

    Args:
        config_space: Hyperparameter domains and constants.
        random_seed: Seed of all randomness of this scheduler. Drawn from the operating system if None.
    """

    #: Key of a report that counts what a trial has used (epochs, steps), or None if reports have none that is known.
    resource_attr: str | None = None

    #: Key of the configuration that tells a script how far to train, or None.
    max_resource_attr: str | None = None

    def __init__(self, config_space: Mapping[str, Any], random_seed: int | None = None) -> None:
        self.config_space = plain_config_space(config_space)
        self.random_seed_given = random_seed is not None
        self.random_seed = draw_seed() if random_seed is None else checked_seed(random_seed)
        self.random = KeyedRandom(self.random_seed)
        self.num_suggestions = 0

    def set_random_seed(self, random_seed: int) -> None:
        """Replaces the seed, before the first suggestion: an experiment that continues keeps the seed it began with."""
        if self.num_suggestions:
            raise RuntimeError("the seed of a scheduler cannot change after its first suggestion; make a new scheduler")
        self.random_seed = checked_seed(random_seed)
        self.random = KeyedRandom(self.random_seed)

    def suggest(self) -> TrialSuggestion | None:
        """What to run on a free worker, or None if there is nothing now.

        Asked again after the next event. None while no trial runs means that the experiment is complete.
        """
        suggestion = self._suggest()
        if suggestion is not None:
            self.num_suggestions += 1
        return suggestion

    def work(self) -> Callable[[], Any] | None:
        """What the next :meth:`suggest` would take long to compute, to be computed in another thread; None: nothing.

        See :meth:`cloudtune.optimizer.searchers.searcher.Searcher.work`: the function works on copies, and while it
        runs this scheduler receives events as ever, but is not asked for a suggestion.
        """
        return None

    def take(self, result: Any) -> None:  # noqa: B027 - most schedulers are quick
        """Receives what the function of :meth:`work` has returned, before :meth:`suggest` is asked."""

    def restore(self, suggestion: TrialSuggestion) -> None:
        """Takes a logged suggestion instead of computing one: the state becomes as if :meth:`suggest` had made it."""
        self._restore(suggestion)
        self.num_suggestions += 1

    @abstractmethod
    def _suggest(self) -> TrialSuggestion | None:
        """Computes suggestion number ``self.num_suggestions``."""

    def _restore(self, suggestion: TrialSuggestion) -> None:  # noqa: B027 - most suggestions change no state
        """Updates the state for a suggestion that was not computed. Nothing to do where suggesting changes no state."""

    def random_generator(self) -> np.random.Generator:
        """A fresh generator for the suggestion that is being computed."""
        return self.random.generator(self.num_suggestions)

    def on_trial_add(self, trial: Trial) -> None:  # noqa: B027 - most schedulers need not know
        """A new trial is about to start."""

    @abstractmethod
    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """A report arrived; answers with a :class:`SchedulerDecision`. ``result`` holds all the scheduler's metrics."""

    def on_script_end(self, trial: Trial, result: dict[str, Any]) -> str:
        """A script has ended by itself, without an error; ``result`` is what :meth:`on_trial_complete` gets.

        Answers CONTINUE if the trial is complete. PAUSE: it waits, as if a report had been answered so; it may be
        suggested again after ``on_trial_remove``, which comes next. Only an answer of PAUSE may change the state: the
        others are not in the log.
        """
        return SchedulerDecision.CONTINUE

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:  # noqa: B027 - see above
        """The trial ended by itself; ``result`` is its last report that had all the scheduler's metrics.

        A report without one of them (of a second Reporter, for instance) was not shown to the scheduler at all.
        """

    def on_trial_error(self, trial: Trial) -> None:  # noqa: B027 - see above
        """The trial failed."""

    def on_trial_remove(self, trial: Trial) -> None:  # noqa: B027 - see above
        """The trial was stopped or paused, even if its script ended by itself just then."""

    def expendable_checkpoints(self) -> Sequence[int]:
        """Paused trials that will hardly be resumed: their checkpoints may be deleted to save space.

        Each is told once. Where checkpoints are deleted at all, the tuner deletes these after each turn; a trial that
        is resumed all the same begins anew.
        """
        return ()

    def libraries(self) -> Sequence[str]:
        """Packages, as they are imported, that it imports only when needed: where a tuner is sent, they come too."""
        return ()

    @abstractmethod
    def metric_names(self) -> list[str]:
        """The metrics that scripts must report."""

    def metric_mode(self) -> str | list[str]:
        """``"min"`` or ``"max"``, for all metrics or one for each."""
        return "min"

    def metadata(self) -> dict[str, Any]:
        """What is written into the experiment's metadata about this scheduler (JSON values only).

        An experiment is continued only by a scheduler whose metadata are those of its log, apart from a seed that was
        drawn. A scheduler of one's own with further settings should add them here.
        """
        from cloudtune.config_space import config_space_to_json

        return {
            "metric_names": self.metric_names(),
            "metric_mode": self.metric_mode(),
            "scheduler_name": type(self).__name__,
            "config_space": config_space_to_json(self.config_space),
            "random_seed": self.random_seed,
            "resource_attr": self.resource_attr,
            "max_resource_attr": self.max_resource_attr,
        }

    def outcome(self) -> dict[str, Any]:
        """How it has gone, which the experiment's metadata tell in the end as ``st_scheduler_outcome`` (JSON values).

        Unlike :meth:`metadata` it may change with every suggestion, and nothing depends on it.
        """
        return {}
