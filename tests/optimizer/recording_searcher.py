"""A searcher that writes down all it is told."""

from __future__ import annotations

from typing import Any

from cloudtune.config_space import sample_config
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.optimizer.searchers import Searcher
from cloudtune.trial import Config, Trial


class RecordingSearcher(Searcher):
    """Random configurations; ``calls`` holds every call in order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[Any, ...]] = []
        self.configs: list[Config] = []

    def set_random_seed(self, random_seed: int) -> None:
        super().set_random_seed(random_seed)
        self.calls.append(("seed", random_seed))

    def suggest(self) -> Config:
        return sample_config(self.config_space, self.random_generator())

    def on_suggestion(self, config: Config) -> None:
        self.configs.append(config)
        self.calls.append(("suggestion", config))

    def on_trial_add(self, trial_id: int, config: Config) -> None:
        self.calls.append(("add", trial_id, config))

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        self.calls.append(("result", trial_id, config, result))

    def on_trial_complete(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        self.calls.append(("complete", trial_id, config, result))

    def on_trial_error(self, trial_id: int, config: Config) -> None:
        self.calls.append(("error", trial_id, config))

    def on_trial_remove(self, trial_id: int, config: Config) -> None:
        self.calls.append(("remove", trial_id, config))

    def tell_all_and_return_calls(self, scheduler: TrialScheduler) -> list[tuple[Any, ...]]:
        """Calls everything a scheduler has, with three trials; returns what arrived here."""
        self.calls.clear()
        scheduler.set_random_seed(11)
        trials = []
        for trial_id in range(2):
            suggestion = scheduler.suggest()
            assert suggestion is not None
            assert suggestion.config is not None
            trials.append(Trial(trial_id, suggestion.config))
            scheduler.on_trial_add(trials[-1])
        restored = sample_config(self.config_space, self.random.generator(99))
        scheduler.restore(TrialSuggestion.start_suggestion(restored))
        trials.append(Trial(2, restored))
        scheduler.on_trial_add(trials[-1])
        result = {"loss": 0.5, "size": 3.0, "epoch": 1}
        scheduler.on_trial_result(trials[0], dict(result))
        scheduler.on_trial_complete(trials[0], dict(result))
        scheduler.on_trial_error(trials[1])
        scheduler.on_trial_remove(trials[2])
        return self.calls

    def expected_calls(self) -> list[tuple[Any, ...]]:
        """What must have arrived after :meth:`tell_all_and_return_calls`."""
        zero, one, two = self.configs[-3:]
        result = {"loss": 0.5, "size": 3.0, "epoch": 1}
        return [
            ("seed", 11),
            ("suggestion", zero),
            ("add", 0, zero),
            ("suggestion", one),
            ("add", 1, one),
            ("suggestion", two),
            ("add", 2, two),
            ("result", 0, zero, result),
            ("complete", 0, zero, result),
            ("error", 1, one),
            ("remove", 2, two),
        ]
