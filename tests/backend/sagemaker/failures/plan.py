"""A scheduler without surprises: configurations in order, and decisions that a test makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.trial import Trial


class Plan(TrialScheduler):
    """Suggests one configuration after the other, and resumes what it has paused before it begins anything new.

    Args:
        configs: Of the trials.
        decisions: ``(trial, epoch)`` -> what becomes of a trial that reports this epoch.
        sources: Trial -> the trial whose checkpoint it begins with.
        resumes: Whether paused trials are resumed.
    """

    resource_attr = "epoch"

    def __init__(
        self,
        configs: Sequence[Mapping[str, Any]],
        decisions: Mapping[tuple[int, int], str] | None = None,
        sources: Mapping[int, int] | None = None,
        resumes: bool = True,
    ) -> None:
        super().__init__({"epochs": len(configs)}, random_seed=1)
        self._configs = configs
        self._decisions = decisions or {}
        self._sources = sources or {}
        self._resumes = resumes
        self._begun = 0
        self._pausing: set[int] = set()
        self._paused: list[int] = []

    def _suggest(self) -> TrialSuggestion | None:
        if self._paused and self._resumes:
            return TrialSuggestion.resume_suggestion(self._paused.pop(0))
        if self._begun == len(self._configs):
            return None
        self._begun += 1
        trial = self._begun - 1
        return TrialSuggestion.start_suggestion(dict(self._configs[trial]), self._sources.get(trial))

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is None:
            self._begun += 1
        else:
            self._paused.remove(suggestion.trial_id)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        decision = self._decisions.get((trial.trial_id, result["epoch"]), SchedulerDecision.CONTINUE)
        if decision == SchedulerDecision.PAUSE:
            self._pausing.add(trial.trial_id)
        return decision

    def on_trial_remove(self, trial: Trial) -> None:
        if trial.trial_id in self._pausing:
            self._pausing.remove(trial.trial_id)
            self._paused.append(trial.trial_id)

    def metric_names(self) -> list[str]:
        return ["loss"]
