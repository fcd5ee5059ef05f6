"""FIFOScheduler, and what it shares with the other schedulers that have a searcher."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from cloudtune.config_space import ConfigSpaceError, randint, uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers import FIFOScheduler
from cloudtune.optimizer.searchers import GridSearcher, RandomSearcher, Searcher
from cloudtune.trial import Trial
from tests.optimizer.recording_searcher import RecordingSearcher

SPACE: dict[str, Any] = {"x": uniform(0, 1), "n": randint(1, 5), "epochs": 3}


def test_every_trial_goes_on_to_its_end() -> None:
    """Whatever a trial reports, the answer is CONTINUE."""
    scheduler = FIFOScheduler(SPACE, metric="loss", random_seed=1)
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.config is not None
    trial = Trial(0, suggestion.config)
    scheduler.on_trial_add(trial)
    answers = {scheduler.on_trial_result(trial, {"loss": loss}) for loss in (1.0, float("nan"), float("inf"))}
    assert answers == {SchedulerDecision.CONTINUE}


@pytest.mark.parametrize("searcher", [RandomSearcher, GridSearcher])
def test_constants_of_numpy_and_tuples_reach_trials_as_plain_values(searcher: type[Searcher]) -> None:
    """A space made with numpy works with any searcher, as class or object; the log can carry its configurations."""
    space = {**SPACE, "epochs": np.int64(3), "widths": (64, np.int32(32))}
    plain = {"epochs": 3, "widths": [64, 32]}
    for given in (searcher, searcher(space, points_to_evaluate=[{"widths": (64, 32), "n": np.int64(2)}])):
        scheduler = FIFOScheduler(space, given, metric="loss", max_resource_attr="epochs", random_seed=1)
        for _ in range(3):
            suggestion = scheduler.suggest()
            assert suggestion is not None
            assert suggestion.config is not None
            assert {**suggestion.config, **plain} == json.loads(json.dumps(suggestion.config))
        assert scheduler.metadata()["config_space"]["widths"] == [64, 32]


@pytest.mark.defect("C10")
def test_several_metrics_may_share_one_mode() -> None:
    """A list of metrics with one mode for all, or one for each, gives a mode for every metric."""
    shared = FIFOScheduler(SPACE, metric=["loss", "time"], mode="min")
    assert shared.metric_names() == ["loss", "time"]
    assert shared.metric_mode() == ["min", "min"]
    each = RandomSearch(SPACE, metric=["loss", "accuracy"], mode=["min", "max"])
    assert each.metric_mode() == ["min", "max"]
    assert each.metadata()["metric_mode"] == ["min", "max"]
    assert FIFOScheduler(SPACE, metric="accuracy", mode="max").metric_mode() == "max"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "loss", "mode": "minimize"}, "mode must be 'min' or 'max', got 'minimize'"),
        ({"metric": ["a", "b"], "mode": ["min", "maximum"]}, "mode must be 'min' or 'max', got 'maximum'"),
        ({"metric": ["a", "b"], "mode": ["min"]}, "there are 2 metrics but 1 modes"),
        ({"metric": "a", "mode": ["min", "max"]}, "there are 1 metrics but 2 modes"),
        ({"metric": ["a", "a"]}, "metric names one value twice"),
        ({"metric": ""}, "metric must be the name of what the script reports"),
        ({"metric": []}, "metric must be the name of what the script reports"),
        ({"metric": "a", "random_seed": -1}, "random_seed must not be negative"),
        ({"metric": "a", "random_seed": 1.5}, "random_seed must be an integer, got 1.5"),
        ({"metric": "a", "random_seed": "1"}, "random_seed must be an integer, got '1'"),
        ({"metric": ["b", "a"], "resource_attr": "a"}, "metric 'a' is resource_attr too"),
        ({"metric": "a", "searcher": "magic"}, "searcher 'magic' is not known"),
        (
            {"metric": "a", "max_resource_attr": "max_epochs"},
            "max_resource_attr 'max_epochs' is not in the config space",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument is refused at construction, naming it and the remedy."""
    with pytest.raises(ValueError, match=message):
        FIFOScheduler(SPACE, **arguments)


def test_a_wrong_config_space_is_refused_at_construction() -> None:
    """A parameter that is neither a domain nor a constant is named before anything runs."""
    with pytest.raises(ConfigSpaceError, match="parameter 'x'"):
        FIFOScheduler({"x": range(3)}, metric="loss")


@pytest.mark.parametrize("option", ["mertic", "points_to_evalute", "seed"])
def test_a_misspelt_argument_is_refused(option: str) -> None:
    """Nothing passes unknown keyword arguments on to where nobody reads them."""
    misspelt: dict[str, Any] = {option: None}
    with pytest.raises(TypeError, match=option):
        FIFOScheduler(SPACE, metric="loss", **misspelt)
    with pytest.raises(TypeError, match=f"search_options .*{option}.*; (its options are allow_duplicates|give it to)"):
        FIFOScheduler(SPACE, metric="loss", search_options=misspelt)


def test_options_that_the_scheduler_itself_passes_are_refused() -> None:
    """They would reach the searcher twice."""
    for name in ("points_to_evaluate", "random_seed", "config_space"):
        with pytest.raises(TypeError, match=f"search_options must not have '{name}'; give it to the scheduler"):
            FIFOScheduler(SPACE, metric="loss", search_options={name: None})


def test_a_searcher_that_takes_any_option_is_given_them() -> None:
    """A class whose constructor passes further arguments on is asked by calling it."""

    class Passing(RandomSearcher):
        def __init__(self, config_space: dict[str, Any], **options: Any) -> None:
            super().__init__(config_space, **options)

    searcher = FIFOScheduler(SPACE, Passing, metric="loss", search_options={"allow_duplicates": True}).searcher
    assert searcher.settings() == {"allow_duplicates": True}


@pytest.mark.defect("C11")
def test_the_searcher_is_told_everything() -> None:
    """A searcher of one's own hears of every suggestion, start, report, completion, failure and removal."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = FIFOScheduler(SPACE, searcher, metric="loss", random_seed=7)
    assert searcher.tell_all_and_return_calls(scheduler) == searcher.expected_calls()


def test_scheduler_and_searcher_share_one_seed() -> None:
    """The scheduler's seed goes to the searcher; a searcher's own is taken over where the scheduler has none."""
    searcher = RandomSearcher(SPACE, random_seed=5)
    scheduler = FIFOScheduler(SPACE, searcher, metric="loss")
    assert (scheduler.random_seed, scheduler.random_seed_given) == (5, True)
    searcher = RandomSearcher(SPACE, random_seed=5)
    scheduler = FIFOScheduler(SPACE, searcher, metric="loss", random_seed=6)
    assert scheduler.random_seed == searcher.random_seed == 6
    drawn = FIFOScheduler(SPACE, RandomSearcher(SPACE), metric="loss")
    assert not drawn.random_seed_given
    assert drawn.random_seed == drawn.searcher.random_seed
    drawn.set_random_seed(8)
    assert drawn.searcher.random_seed == 8
    by_name = FIFOScheduler(SPACE, "random", metric="loss", random_seed=8)
    assert drawn.suggest() == by_name.suggest()
    assert drawn.suggest() == by_name.suggest()


def test_options_and_points_reach_the_searcher() -> None:
    """Points and search options are handed to a searcher given by name or class."""
    for searcher in ("random", RandomSearcher):
        scheduler = FIFOScheduler(
            SPACE, searcher, metric="loss", points_to_evaluate=[{"n": 2}], search_options={"allow_duplicates": True}
        )
        assert isinstance(scheduler.searcher, RandomSearcher)
        assert scheduler.searcher.allow_duplicates
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config == {"x": 0.5, "n": 2, "epochs": 3}


def test_the_log_of_another_method_is_refused() -> None:
    """A suggestion to resume a trial cannot come from this scheduler: it says so instead of losing count."""
    scheduler = FIFOScheduler(SPACE, metric="loss")
    with pytest.raises(ValueError, match="FIFOScheduler cannot take over a suggestion to resume trial 3"):
        scheduler.restore(TrialSuggestion.resume_suggestion(3))
    assert scheduler.num_suggestions == 0
