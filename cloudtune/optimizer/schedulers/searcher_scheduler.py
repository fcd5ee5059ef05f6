"""What the schedulers have in common that take their configurations from a searcher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cloudtune.config_domains import plain_value
from cloudtune.config_space import config_digest, search_space, validate_config_space
from cloudtune.optimizer.argument_checks import check_key_of_report
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.optimizer.searchers import Searcher, make_searcher
from cloudtune.trial import Config, Trial

MODES = ("min", "max")

#: More points to evaluate than these stand in the metadata as a digest, so that these stay small.
_MAX_POINTS_SHOWN = 20


class SearcherScheduler(TrialScheduler):
    """A scheduler with a searcher. It tells the searcher everything it is told itself, and shares its seed with it.

    Args:
        config_space: Hyperparameter domains and constants.
        searcher: ``"random"``, ``"grid"``, a :class:`~cloudtune.optimizer.searchers.searcher.Searcher` class or object.
        metric: What scripts report and what is to be optimised; several names for several objectives.
        mode: ``"min"`` or ``"max"``: one for all metrics, or a list of one for each.
        points_to_evaluate: Configurations to try first; see ``Searcher``.
        random_seed: Seed of all randomness, the searcher's included. Drawn from the operating system if None.
        search_options: Further arguments for the searcher's class.

    Raises:
        ConfigSpaceError: The config space or one of the points is wrong.
        ValueError: Another argument is wrong; the message names it.
    """

    def __init__(
        self,
        config_space: Mapping[str, Any],
        searcher: str | type[Searcher] | Searcher,
        metric: str | Sequence[str],
        mode: str | Sequence[str],
        points_to_evaluate: Sequence[Mapping[str, Any]] | None,
        random_seed: int | None,
        search_options: Mapping[str, Any] | None,
    ) -> None:
        validate_config_space(config_space)
        self._metrics, self._modes = _check_metrics(metric, mode)
        self._single = isinstance(metric, str)
        if random_seed is None and isinstance(searcher, Searcher) and getattr(searcher, "random_seed_given", False):
            random_seed = searcher.random_seed
        super().__init__(config_space, random_seed)
        self.searcher = make_searcher(searcher, self.config_space, points_to_evaluate, self.random_seed, search_options)
        if self.searcher.random_seed != self.random_seed:
            self.searcher.set_random_seed(self.random_seed)

    def _aim(self, max_resource: float | None = None, levels: Sequence[int] = ()) -> None:
        """Tells the searcher what for; called at the end of a constructor, when ``resource_attr`` is set."""
        if self.resource_attr is not None:
            check_key_of_report("resource_attr", self.resource_attr, "name the key that counts epochs, or leave it out")
        if self.resource_attr in self._metrics:
            raise ValueError(
                f"metric {self.resource_attr!r} is resource_attr too, which counts what a trial has used; name what is "
                "to be optimised as the metric, and the key that counts epochs as resource_attr"
            )
        if self.searcher.goal is not None:
            raise ValueError(
                f"this {type(self.searcher).__name__} is the searcher of another scheduler already, and both would "
                "change it; make one for each"
            )
        self.searcher.aim(
            Goal(tuple(self._metrics), tuple(self._modes), self.resource_attr, max_resource, tuple(levels))
        )

    def metric_names(self) -> list[str]:
        """The metrics that scripts must report."""
        return list(self._metrics)

    def metric_mode(self) -> str | list[str]:
        """``"min"`` or ``"max"``; a list of them if the metric is a list."""
        return self._modes[0] if self._single else list(self._modes)

    def metadata(self) -> dict[str, Any]:
        """As for every scheduler; also the searcher's name and settings, and the points to evaluate first."""
        return {
            **super().metadata(),
            "searcher_name": type(self.searcher).__name__,
            "searcher_settings": plain_value(self.searcher.settings()),
            "points_to_evaluate": self._points(),
        }

    def outcome(self) -> dict[str, Any]:
        """The searcher's."""
        return self.searcher.outcome()

    def _points(self) -> list[Config] | str:
        """The points without the constants, or what identifies them if they are many."""
        names = search_space(self.config_space)
        points = [{name: point[name] for name in names} for point in self.searcher.points_to_evaluate]
        if len(points) <= _MAX_POINTS_SHOWN:
            return points
        return f"{len(points)} configurations, digest {config_digest({'points': points})}"

    def set_random_seed(self, random_seed: int) -> None:
        """Replaces the seed of scheduler and searcher, before the first suggestion."""
        super().set_random_seed(random_seed)
        self.searcher.set_random_seed(random_seed)

    def work(self) -> Callable[[], Any] | None:
        """The searcher's."""
        return self.searcher.work()

    def take(self, result: Any) -> None:
        """Given to the searcher."""
        self.searcher.take(result)

    def libraries(self) -> Sequence[str]:
        """The searcher's."""
        return self.searcher.libraries

    def _start(self, config: Config) -> TrialSuggestion:
        """A new trial with the configuration that the searcher has just proposed."""
        return TrialSuggestion.start_suggestion(config, memo=self.searcher.memo())

    def on_trial_add(self, trial: Trial) -> None:
        """Told to the searcher."""
        self.searcher.on_trial_add(trial.trial_id, trial.config)

    def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
        """Told to the searcher."""
        self.searcher.on_trial_complete(trial.trial_id, trial.config, result)

    def on_trial_error(self, trial: Trial) -> None:
        """Told to the searcher."""
        self.searcher.on_trial_error(trial.trial_id, trial.config)

    def on_trial_remove(self, trial: Trial) -> None:
        """Told to the searcher."""
        self.searcher.on_trial_remove(trial.trial_id, trial.config)

    def _restored_config(self, suggestion: TrialSuggestion) -> Config:
        """The configuration of a logged suggestion that started a trial."""
        if suggestion.trial_id is not None or suggestion.config is None:
            raise ValueError(
                f"{type(self).__name__} cannot take over a suggestion to resume trial {suggestion.trial_id}, which it "
                "never makes; continue the experiment with the scheduler it began with"
            )
        return suggestion.config


def _check_metrics(metric: str | Sequence[str], mode: str | Sequence[str]) -> tuple[list[str], list[str]]:
    metrics = [metric] if isinstance(metric, str) or not isinstance(metric, Iterable) else list(metric)
    if not metrics or not all(isinstance(name, str) and name for name in metrics):
        raise ValueError(f"metric must be the name of what the script reports, or a list of such names, got {metric!r}")
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"metric names one value twice: {metric!r}; list each once")
    modes = [mode] * len(metrics) if isinstance(mode, str) or not isinstance(mode, Iterable) else list(mode)
    for one in modes:
        if one not in MODES:
            raise ValueError(f"mode must be 'min' or 'max', got {one!r}")
    if len(modes) != len(metrics):
        raise ValueError(
            f"there are {len(metrics)} metrics but {len(modes)} modes; give one mode for all or one for each"
        )
    return metrics, modes
