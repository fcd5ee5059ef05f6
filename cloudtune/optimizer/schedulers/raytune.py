"""The trial schedulers of Ray Tune (Liaw et al. 2018, "Tune: A Research Platform") behind our contract, without Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.optimizer.schedulers.raytune_choice import quiet, ray_scheduler
from cloudtune.optimizer.schedulers.raytune_controller import (
    ERROR,
    PAUSED,
    RUNNING,
    TERMINATED,
    RayController,
    RayTrial,
)
from cloudtune.optimizer.schedulers.raytune_places import AnnouncedPlaces
from cloudtune.optimizer.schedulers.rungs import rank_value
from cloudtune.optimizer.searchers import Searcher
from cloudtune.trial import Trial

#: Told in place of values that are no finite numbers, as the worst there is: Ray Tune takes means of them.
_WORST = 1e30


class RayTuneScheduler(FIFOScheduler):
    """Lets a scheduler of Ray Tune stop, pause and resume trials, whose configurations come from a searcher of ours.

    Ray is not started. ASHA (stopping), HyperBand and the median rule are there by name; other schedulers of Ray Tune
    can be given as objects, if they need no more than trials and their reports. Those that do (population-based
    training, BOHB, changing resources) are refused. Ray Tune's searchers are not driven: see
    :class:`~cloudtune.optimizer.searchers.optuna_searcher.OptunaSearcher`.

    NaN and infinite metric values rank worst. Random numbers are keyed; an experiment that is continued tells its log
    to a scheduler made anew. HyperBand takes paused trials before new ones, the others new ones first. Its brackets are
    announced ahead of their trials, as Ray does, so that they are complete with any number of workers; once the
    searcher has nothing left, they go on with the trials that they have.

    Args:
        config_space: Hyperparameter domains and constants.
        scheduler: ``"asha"``, ``"hyperband"``, ``"median"``, or a new scheduler of Ray Tune, which belongs to this one
            from now on.
        searcher, points_to_evaluate, random_seed, max_resource_attr, search_options: See
            :class:`~cloudtune.optimizer.schedulers.fifo.FIFOScheduler`.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far, Ray Tune's ``time_attr``.
        scheduler_options: Keyword arguments for a scheduler that is given by name, for instance ``{"max_t": 27}``.

    Raises:
        ConfigSpaceError: The config space or one of the points is wrong.
        ValueError: Another argument is wrong; the message names it.
        MissingExtra: Ray Tune is not installed.
    """

    resource_attr: str

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        scheduler: Any = "asha",
        searcher: str | type[Searcher] | Searcher = "random",
        *,
        metric: str,
        mode: str = "min",
        resource_attr: str,
        max_resource_attr: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        search_options: Mapping[str, Any] | None = None,
        scheduler_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            searcher,
            metric=metric,
            mode=mode,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            search_options=search_options,
        )
        if not self._single:
            raise ValueError(f"metric must be one name, got {metric!r}; Ray Tune's schedulers compare one")
        self._metric, self._maximize = metric, mode == "max"
        self._ray = ray_scheduler(scheduler, scheduler_options, metric, mode, resource_attr)
        self._settings = {
            name.lstrip("_"): value if isinstance(value, bool | int | str) else repr(value)
            for name, value in vars(self._ray).items()
            if value is None or isinstance(value, bool | int | float | str)
        }
        self._controller = RayController(self._ray)
        self._places = AnnouncedPlaces(self._ray)
        self._num_calls = 0

    def libraries(self) -> Sequence[str]:
        """Ray, and what Ray Tune needs; the searcher's."""
        return ("ray", "pyarrow", *super().libraries())

    def metadata(self) -> dict[str, Any]:
        """As for every scheduler; also the class of Ray Tune's scheduler, and its settings."""
        return {**super().metadata(), "ray_scheduler": type(self._ray).__name__, "ray_settings": dict(self._settings)}

    def __getstate__(self) -> dict[str, Any]:
        # Some of Ray Tune's schedulers hold functions that pickle cannot carry.
        import dill

        held = dill.dumps((self._ray, self._controller, self._places))
        return {**self.__dict__, "_ray": None, "_places": None, "_controller": held}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import dill

        self.__dict__.update(state)
        self._ray, self._controller, self._places = dill.loads(state["_controller"])

    # ------------------------------------------------------------------ suggestions

    def _suggest(self) -> TrialSuggestion | None:
        if not self._new_trials_first() and (paused := self._to_resume()) is not None:
            return self._resume(paused)
        suggestion = super()._suggest()
        if suggestion is None:
            if self._places and not any(trial.status == RUNNING for trial in self._controller.get_trials()):
                self._give_up_places()
            if (paused := self._to_resume()) is not None:
                return self._resume(paused)
        return suggestion

    def _give_up_places(self) -> None:
        """Nobody will take them: the brackets go on with the trials that they have."""
        for place in self._places.give_up():
            self._tell("on_trial_remove", place)
            place.status = TERMINATED

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is None:
            super()._restore(suggestion)
            return
        trial = self._controller.trials.get(suggestion.trial_id)
        if trial is None or trial.status != PAUSED:
            raise ValueError(
                f"trial {suggestion.trial_id} cannot be resumed since it is not paused; "
                "continue the experiment with the scheduler it began with"
            )
        if self._places and self._to_resume() is not trial:
            # That it is resumed says that the searcher had nothing left.
            self._give_up_places()
        self._resume(trial)

    def work(self) -> Callable[[], Any] | None:
        """The searcher's, if a new configuration is what comes next."""
        return super().work() if self._new_trials_first() or self._to_resume() is None else None

    def _new_trials_first(self) -> bool:
        from ray.tune.schedulers import FIFOScheduler as RayFIFOScheduler

        return bool(type(self._ray).choose_trial_to_run is RayFIFOScheduler.choose_trial_to_run)

    def _to_resume(self) -> RayTrial | None:
        """The paused trial that Ray Tune wants to run now."""
        pausing = [trial for trial in self._controller.get_trials() if trial.status == PAUSED and not trial.has_paused]
        for trial in pausing:
            # Still occupies its worker.
            trial.status = RUNNING
        chosen = self._ray.choose_trial_to_run(self._controller)
        for trial in pausing:
            trial.status = PAUSED
        assert chosen is None or isinstance(chosen, RayTrial)
        return chosen

    def _resume(self, trial: RayTrial) -> TrialSuggestion:
        trial.status, trial.has_paused = RUNNING, False
        self.searcher.on_trial_resume(trial.number, trial.config)
        return TrialSuggestion.resume_suggestion(trial.number)

    def expendable_checkpoints(self) -> Sequence[int]:
        """Paused trials that Ray Tune has given up."""
        given_up, self._controller.given_up = self._controller.given_up, []
        return given_up

    # ------------------------------------------------------------------ what becomes of trials

    def _tell(self, what: str, trial: RayTrial, *more: Any) -> Any:
        """Calls Ray Tune's scheduler, with random numbers that depend on how many calls there were."""
        seed = int(self.random.generator(self._num_calls, 1).integers(2**32))
        self._num_calls += 1
        with quiet(seed):
            return getattr(self._ray, what)(self._controller, trial, *more)

    def on_trial_add(self, trial: Trial) -> None:
        """Ray Tune gets to know the trial, which runs from now on."""
        ray_trial = self._places.take(lambda place: self._tell("on_trial_add", place))
        if ray_trial is None:
            ray_trial = RayTrial(trial.trial_id, trial.config)
            self._tell("on_trial_add", ray_trial)
        ray_trial.become(trial.trial_id, trial.config)
        self._controller.trials[trial.trial_id] = ray_trial
        ray_trial.status = RUNNING
        super().on_trial_add(trial)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """Answers as Ray Tune does; STOP for a trial that is not known or was given up.

        Raises:
            ValueError: The report lacks ``resource_attr`` or the metric, or they are no numbers; or the resource is
                negative or not finite.
        """
        super().on_trial_result(trial, result)
        ray_trial = self._controller.trials.get(trial.trial_id)
        if ray_trial is None or ray_trial.status != RUNNING or ray_trial.is_stopping:
            paused = ray_trial is not None and ray_trial.status == PAUSED
            return SchedulerDecision.PAUSE if paused else SchedulerDecision.STOP
        ray_trial.last_result = self._shown(trial.trial_id, result)
        decision = str(self._tell("on_trial_result", ray_trial, dict(ray_trial.last_result)))
        if decision == SchedulerDecision.PAUSE:
            ray_trial.status = PAUSED
        ray_trial.is_stopping = decision == SchedulerDecision.STOP
        return decision if decision in (SchedulerDecision.PAUSE, SchedulerDecision.STOP) else SchedulerDecision.CONTINUE

    def _shown(self, trial_id: int, result: dict[str, Any]) -> dict[str, Any]:
        """A report as Ray Tune may see it: with a metric that it can calculate with."""
        try:
            cost = min(_WORST, max(-_WORST, rank_value(result[self._metric], self._maximize)))
            resource = result[self.resource_attr] + 0
            counts = 0 <= resource < math.inf
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"trial {trial_id} must report {self.resource_attr!r} (resource_attr) and {self._metric!r} (metric) as "
                "numbers; correct the script or the scheduler's arguments"
            ) from error
        if not counts:
            raise ValueError(
                f"trial {trial_id} reported {self.resource_attr}={resource!r} (resource_attr), which must be finite "
                "and not negative; count epochs from 1 in the script"
            )
        return {**result, self._metric: -cost if self._maximize else cost, self.resource_attr: resource}

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """The trial will not run again."""
        self._end(trial.trial_id)
        super().on_trial_complete(trial, result)

    def on_trial_error(self, trial: Trial) -> None:
        """The trial will not run again."""
        self._end(trial.trial_id, failed=True)
        super().on_trial_error(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        """A trial that was told to pause has done so; another one was stopped."""
        ray_trial = self._controller.trials.get(trial.trial_id)
        if ray_trial is not None and ray_trial.status == PAUSED and not ray_trial.has_paused:
            ray_trial.has_paused = True
        else:
            self._end(trial.trial_id)
        super().on_trial_remove(trial)

    def _end(self, trial_id: int, failed: bool = False) -> None:
        trial = self._controller.trials.get(trial_id)
        if trial is None or trial.is_finished():
            return
        if trial.status == PAUSED:
            self._tell("on_trial_remove", trial)
        elif failed or not trial.last_result:
            self._tell("on_trial_error", trial)
        else:
            self._tell("on_trial_complete", trial, dict(trial.last_result))
        trial.status = ERROR if failed else TERMINATED
