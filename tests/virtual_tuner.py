"""A tuner on the virtual machine, as the tests of the loop want it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.trial import Trial
from cloudtune.tuner import Tuner
from tests.virtual import Machine, MemoryStore, Program, VirtualBackend

SPACE = {"x": uniform(0, 1), "max_epochs": 9}


def curve(config: Mapping[str, Any], level: int) -> float:
    """Better for smaller x, and with every level."""
    return float(config["x"]) + 1 / level


def make_tuner(machine: Machine, scheduler: TrialScheduler | None = None, **options: Any) -> Tuner:
    """A tuner on the virtual machine, random search over SPACE unless said otherwise."""
    options.setdefault("stop_criterion", StoppingCriterion(max_num_trials_started=6))
    options.setdefault("n_workers", 2)
    options.setdefault("callbacks", [])
    return Tuner(
        trial_backend=VirtualBackend(machine),
        scheduler=scheduler or RandomSearch(SPACE, metric="loss", resource_attr="epoch", random_seed=3),
        store=MemoryStore(machine),
        save_tuner=False,
        tuner_name="virtual",
        suffix_tuner_name=False,
        **options,
    )


def of_kind(machine: Machine, event: str) -> list[dict[str, Any]]:
    """The log's entries of one kind."""
    return [entry for entry in machine.log if entry["event"] == event]


def run_with_metrics(change: Callable[[dict[str, Any]], None], **options: Any) -> tuple[Tuner, Machine]:
    """Runs random search over trials whose reports were changed."""
    machine = Machine(Program(curve, levels=3))
    tuner = make_tuner(machine, max_failures=99, **options)
    advance = machine.advance

    def changed(attempt: Any) -> None:
        before = len(attempt.reports)
        advance(attempt)
        for report in attempt.reports[before:]:
            change(report)

    machine.advance = changed  # type: ignore[method-assign]
    tuner.run()
    return tuner, machine


class PausesAtTwo(TrialScheduler):
    """Pauses every trial at level 2 and resumes it once with another configuration."""

    resource_attr = "epoch"

    def __init__(self) -> None:
        super().__init__(SPACE, random_seed=0)
        self.paused: list[int] = []

    def _suggest(self) -> TrialSuggestion:
        if self.paused:
            return TrialSuggestion.resume_suggestion(self.paused.pop(), {"x": 0.5, "max_epochs": 3})
        return TrialSuggestion.start_suggestion({"x": 0.1, "max_epochs": 9})

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is not None:
            self.paused.remove(suggestion.trial_id)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        return "PAUSE" if result["epoch"] == 2 and trial.attempt == 0 else "CONTINUE"

    def on_trial_remove(self, trial: Trial) -> None:
        self.paused.append(trial.trial_id)

    def metric_names(self) -> list[str]:
        return ["loss"]
