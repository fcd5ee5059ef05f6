"""The scheduler that trains every configuration to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers.searcher_scheduler import SearcherScheduler
from cloudtune.optimizer.searchers import Searcher
from cloudtune.trial import Trial


class FIFOScheduler(SearcherScheduler):
    """Starts the searcher's configurations in order, and stops none.

    Args:
        config_space: Hyperparameter domains and constants.
        searcher: ``"random"``, ``"grid"``, a :class:`~cloudtune.optimizer.searchers.searcher.Searcher` class or object.
        metric: What scripts report and what is to be optimised; a list for several objectives.
        mode: ``"min"`` or ``"max"``: one for all metrics, or a list of one for each.
        points_to_evaluate: Configurations to try first, in this order. Missing parameters get their defaults, and
            duplicates are dropped. None: one configuration, of all defaults. ``[]``: none.
        random_seed: Seed of all randomness. Drawn from the operating system if None.
        resource_attr: Key of a report that counts what a trial has used (epochs). Where it is known, reports that a
            trial repeats after an interruption do not count twice.
        max_resource_attr: Key of the config space that tells the script how far to train.
        search_options: Further arguments for the searcher, for instance ``{"allow_duplicates": True}``.

    Raises:
        ConfigSpaceError: The config space or one of the points is wrong.
        ValueError: Another argument is wrong; the message names it.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        searcher: str | type[Searcher] | Searcher = "random",
        *,
        metric: str | Sequence[str],
        mode: str | Sequence[str] = "min",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        resource_attr: str | None = None,
        max_resource_attr: str | None = None,
        search_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config_space, searcher, metric, mode, points_to_evaluate, random_seed, search_options)
        self.resource_attr = resource_attr
        self.max_resource_attr = max_resource_attr
        if max_resource_attr is not None and max_resource_attr not in config_space:
            raise ValueError(
                f"max_resource_attr {max_resource_attr!r} is not in the config space, which has "
                f"{', '.join(config_space)}; add it as a constant, for instance {max_resource_attr!r}: 27"
            )
        constant = None if max_resource_attr is None else config_space[max_resource_attr]
        self._aim(constant if isinstance(constant, int | float) else None)

    def _suggest(self) -> TrialSuggestion | None:
        config = self.searcher.next_config()
        return None if config is None else self._start(config)

    def _restore(self, suggestion: TrialSuggestion) -> None:
        self.searcher.restore(self._restored_config(suggestion), suggestion.memo)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        """Told to the searcher; the trial goes on."""
        self.searcher.on_trial_result(trial.trial_id, trial.config, result)
        return SchedulerDecision.CONTINUE
