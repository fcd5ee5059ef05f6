"""The median stopping rule, by itself and around other schedulers."""

from __future__ import annotations

import math
import operator
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA, MedianStopping, RandomSearch
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.optimizer.schedulers import FIFOScheduler, HyperbandScheduler, MedianStoppingRule
from cloudtune.trial import Config, Trial
from tests.contracts.scheduler_contract import PROGRAMS, Simulation, Step
from tests.optimizer.recording_searcher import RecordingSearcher

CONTINUE, PAUSE, STOP = SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE, SchedulerDecision.STOP

SPACE: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 9}


def rule(**arguments: Any) -> MedianStoppingRule:
    """The rule around random search, without grace."""
    search = RandomSearch(SPACE, metric="loss", mode=arguments.pop("mode", "min"), random_seed=1)
    return MedianStoppingRule(search, "epoch", **{"grace_time": 0, "grace_population": 1, **arguments})


def answers(scheduler: MedianStoppingRule, reports: list[tuple[int, int, float]]) -> list[str]:
    """The decisions on reports (trial, epoch, loss)."""
    for trial_id in dict.fromkeys(trial_id for trial_id, _, _ in reports):
        scheduler.on_trial_add(Trial(trial_id, dict(SPACE)))
    return [
        scheduler.on_trial_result(Trial(trial_id, dict(SPACE)), {"epoch": epoch, "loss": loss})
        for trial_id, epoch, loss in reports
    ]


def test_what_is_worse_than_the_median_is_stopped() -> None:
    """Of the trials at one epoch those behind the median are stopped; one that equals it runs on."""
    reports = [(0, 1, 3.0), (1, 1, 1.0), (2, 1, 2.0), (3, 1, 2.5), (4, 1, 2.0)]
    assert answers(rule(), reports) == [CONTINUE, CONTINUE, CONTINUE, STOP, CONTINUE]
    assert answers(rule(mode="max"), reports) == [CONTINUE, STOP, CONTINUE, CONTINUE, CONTINUE]


def test_running_averages_forgive_one_bad_report() -> None:
    """A trial that was good is not stopped for one bad value, unless the values themselves are compared."""
    reports = [(0, 1, 1.0), (1, 1, 0.0), (0, 2, 1.0), (1, 2, 1.5)]
    assert answers(rule(), reports)[-1] == CONTINUE
    assert answers(rule(running_average=False), reports)[-1] == STOP


def test_nothing_is_stopped_in_the_time_of_grace() -> None:
    """Reports up to ``grace_time`` are counted, but stop nothing."""
    reports = [(0, 1, 0.0), (1, 1, 1.0), (0, 2, 0.0), (1, 2, 1.0)]
    assert answers(rule(grace_time=1), reports) == [CONTINUE, CONTINUE, CONTINUE, STOP]


def test_nothing_is_stopped_before_there_are_enough_trials() -> None:
    """The rule begins with ``grace_population`` trials at the epoch, the reporting one included."""
    reports = [(trial, 1, float(trial)) for trial in range(4)]
    assert answers(rule(grace_population=4), reports) == [CONTINUE, CONTINUE, CONTINUE, STOP]


def test_the_cutoff_sets_the_share_that_runs_on() -> None:
    """With 0.8, four of five run on; with 0.2 only the best."""
    reports = [(trial, 1, float(trial)) for trial in (0, 1, 2, 4, 3)]
    assert answers(rule(rank_cutoff=0.8), reports)[-1] == CONTINUE
    assert answers(rule(rank_cutoff=0.2), reports)[-1] == STOP


def test_values_that_are_not_finite_rank_worst() -> None:
    """NaN and infinite values are stopped once others are finite, and break no average but their own trial's."""
    for value in (math.nan, math.inf, -math.inf):
        reports = [(0, 1, 1.0), (1, 1, 1.0), (2, 1, value), (0, 2, 2.0), (1, 2, 2.0)]
        assert answers(rule(), reports) == [CONTINUE, CONTINUE, STOP, CONTINUE, CONTINUE]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("running_average", [True, False])
def test_diverged_trials_are_stopped_where_most_are(value: float, running_average: bool) -> None:
    """Where the median itself is not finite a diverged trial is no worse than it, and stopped all the same."""
    reports = [(trial, 1, value if trial in (0, 1, 3, 4) else float(trial)) for trial in range(7)]
    wanted = [CONTINUE, CONTINUE, CONTINUE, STOP, STOP, CONTINUE, CONTINUE]
    for mode in ("min", "max"):
        assert answers(rule(grace_population=3, mode=mode, running_average=running_average), reports) == wanted


def test_diverged_trials_have_their_grace() -> None:
    """In the time of grace, and while too few have reported, they go on as any other does."""
    reports = [(trial, epoch, math.nan) for epoch in (1, 2) for trial in range(4)]
    assert answers(rule(grace_time=1, grace_population=3), reports) == [*[CONTINUE] * 6, STOP, STOP]


def test_a_repeated_report_counts_once() -> None:
    """A trial that reports an epoch again, after an interruption, is not compared twice."""
    reports = [(0, 1, 1.0), (0, 1, 1.0), (0, 1, 1.0), (1, 1, 2.0)]
    scheduler = rule(grace_population=3)
    assert answers(scheduler, reports) == [CONTINUE] * 4


def test_a_stopped_trial_stays_stopped() -> None:
    """Whatever it reports later, the answer is STOP, and the others are not compared with it."""
    scheduler = rule()
    assert answers(scheduler, [(0, 1, 1.0), (1, 1, 2.0), (1, 2, 0.0), (0, 2, 1.0)]) == [CONTINUE, STOP, STOP, CONTINUE]


@given(PROGRAMS, st.booleans(), st.sampled_from([0.25, 0.5, 0.75]))
def test_the_rule_decides_as_a_naive_one(program: list[Step], running_average: bool, cutoff: float) -> None:
    """Every decision is what sorting all that was reported at the epoch would give."""
    scheduler = rule(running_average=running_average, grace_time=1, grace_population=3, rank_cutoff=cutoff)
    reported: dict[int, list[float]] = defaultdict(list)
    own: dict[int, list[float]] = defaultdict(list)
    for entry in Simulation(scheduler).run(program):
        if entry[0] == "report":
            _, trial_id, epoch, _, decision, result = entry
            loss = result["loss"] if math.isfinite(result["loss"]) else math.inf
            own[trial_id].append(loss)
            compared = sum(own[trial_id]) / len(own[trial_id]) if running_average else loss
            values = reported[epoch]
            values.append(compared)
            rank = math.floor((len(values) - 1) * cutoff) + 1
            behind = compared > sorted(values)[rank - 1] or compared == math.inf
            stop = epoch > 1 and len(values) >= 3 and behind
            assert decision == (STOP if stop else CONTINUE)


LARGE = st.integers(2**50, 2**53 - 1)


@given(
    st.lists(st.lists(LARGE | LARGE.map(operator.neg), min_size=1, max_size=6), min_size=2, max_size=6),
    st.sampled_from([0.25, 0.5, 0.75]),
)
def test_the_largest_floats_are_averaged_as_any_others(curves: list[list[int]], cutoff: float) -> None:
    """Every decision is the same with losses of up to 1.8e308, the sum of two of which is infinite."""
    largest = sys.float_info.max / (2**53 - 1)
    decisions = []
    for unit in (1.0, largest):
        reports = [
            (trial, epoch, loss * unit) for trial, curve in enumerate(curves) for epoch, loss in enumerate(curve)
        ]
        decisions.append(answers(rule(grace_time=-1, rank_cutoff=cutoff), reports))
    assert decisions[0] == decisions[1]


def test_the_wrapped_scheduler_decides_first() -> None:
    """Where the wrapped scheduler pauses or stops, its word counts; a paused trial keeps its average."""
    inner = ASHA(SPACE, metric="loss", max_resource_attr="max_epochs", type="promotion", random_seed=1)
    scheduler = MedianStoppingRule(inner, "epoch", grace_time=0, grace_population=1)
    trials = []
    for trial_id, loss in enumerate([0.0, 5.0, 6.0]):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config is not None
        trials.append(Trial(trial_id, suggestion.config))
        scheduler.on_trial_add(trials[-1])
        assert scheduler.on_trial_result(trials[-1], {"epoch": 1, "loss": loss}) == PAUSE
        scheduler.on_trial_remove(trials[-1])
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.trial_id == 0
    assert scheduler.on_trial_result(trials[0], {"epoch": 2, "loss": 1.0}) == CONTINUE


@pytest.mark.defect("C11")
def test_the_wrapped_searcher_is_told_everything() -> None:
    """A searcher of one's own, in a scheduler inside the rule, hears of everything, restored suggestions included."""
    searcher = RecordingSearcher(SPACE, [])
    inner = FIFOScheduler(SPACE, searcher, metric="loss")
    scheduler = MedianStoppingRule(inner, "epoch")
    assert searcher.tell_all_and_return_calls(scheduler) == searcher.expected_calls()
    assert inner.num_suggestions == scheduler.num_suggestions == 3


class _Working(TrialScheduler):
    """Writes down what it is asked besides the calls of every trial."""

    def __init__(self) -> None:
        super().__init__(SPACE, random_seed=1)
        self.taken: list[Any] = []

    def _suggest(self) -> TrialSuggestion:
        return TrialSuggestion.start_suggestion({"x": 0.5, "max_epochs": 9}, checkpoint_trial_id=7, memo={"fit": 3})

    def _restore(self, suggestion: TrialSuggestion) -> None:
        self.taken.append(suggestion)

    def work(self) -> Callable[[], Any]:
        return lambda: "worked"

    def take(self, result: Any) -> None:
        self.taken.append(result)

    def expendable_checkpoints(self) -> Sequence[int]:
        return [4]

    def outcome(self) -> dict[str, Any]:
        return {"fits": 3}

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        return CONTINUE

    def metric_names(self) -> list[str]:
        return ["loss"]


@pytest.mark.defect("C11")
def test_work_memos_and_checkpoints_are_the_wrapped_schedulers() -> None:
    """What is computed aside, what is to be remembered, and what may be deleted passes through the rule."""
    inner = _Working()
    scheduler = MedianStoppingRule(inner, "epoch")
    work = scheduler.work()
    assert work is not None
    scheduler.take(work())
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert (suggestion.memo, suggestion.checkpoint_trial_id) == ({"fit": 3}, 7)
    scheduler.restore(suggestion)
    assert inner.taken == ["worked", suggestion]
    assert inner.num_suggestions == scheduler.num_suggestions == 2
    assert list(scheduler.expendable_checkpoints()) == [4]
    assert scheduler.outcome() == {"fits": 3}


@pytest.mark.defect("C11")
@pytest.mark.parametrize("restored", [False, True])
def test_the_wrapped_searcher_hears_that_a_trial_goes_on(restored: bool) -> None:
    """Also where the resumption is restored from a log."""
    resumed: list[tuple[int, Any]] = []

    class Listening(RecordingSearcher):
        def on_trial_resume(self, trial_id: int, config: Config) -> None:
            resumed.append((trial_id, config["max_epochs"]))

    inner = HyperbandScheduler(
        SPACE, Listening(SPACE, []), metric="loss", resource_attr="epoch", max_t=9, reduction_factor=2, type="promotion"
    )
    scheduler = MedianStoppingRule(inner, "epoch", grace_time=9)
    for trial_id in range(2):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config is not None
        trial = Trial(trial_id, suggestion.config)
        scheduler.on_trial_add(trial)
        assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": float(trial_id)}) == PAUSE
        scheduler.on_trial_remove(trial)
    if restored:
        scheduler.restore(TrialSuggestion.resume_suggestion(0))
    else:
        assert scheduler.suggest() == TrialSuggestion.resume_suggestion(0)
    assert resumed == [(0, 9)]


def test_metadata_tells_of_both() -> None:
    """The name is the rule's, the rest is the wrapped scheduler's, its own name included."""
    inner = ASHA(SPACE, metric="loss", max_resource_attr="max_epochs", mode="max", random_seed=1)
    metadata = MedianStoppingRule(inner, "epoch").metadata()
    assert metadata["scheduler_name"] == "MedianStoppingRule"
    assert metadata["wrapped_scheduler_name"] == "ASHA"
    assert metadata["metric_mode"] == "max"
    assert metadata["max_resource_attr"] == "max_epochs"
    assert metadata["rung_levels"] == [1, 3, 9]


def test_one_of_several_metrics_decides() -> None:
    """The rule follows the first metric with its mode, or the one it is told."""
    reports: list[dict[str, Any]] = [
        {"epoch": 2, "loss": 1.0, "accuracy": 0.5},
        {"epoch": 2, "loss": 2.0, "accuracy": 0.9},
    ]
    for metric, expected in [(None, STOP), ("loss", STOP), ("accuracy", CONTINUE)]:
        inner = RandomSearch(SPACE, metric=["loss", "accuracy"], mode=["min", "max"])
        scheduler = MedianStoppingRule(inner, "epoch", grace_population=1, metric=metric)
        assert scheduler.on_trial_result(Trial(0, dict(SPACE)), reports[0]) == CONTINUE
        assert scheduler.on_trial_result(Trial(1, dict(SPACE)), reports[1]) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "error"}, "metric 'error' is not one of the wrapped scheduler's, which are loss"),
        ({"rank_cutoff": 0.0}, "rank_cutoff must be above 0 and below 1"),
        ({"rank_cutoff": "a"}, "rank_cutoff must be above 0 and below 1, got 'a'"),
        ({"grace_time": "a"}, "grace_time must be a number of 'epoch', got 'a'"),
        ({"grace_population": 2.5}, "grace_population must be an integer, got 2.5"),
        ({"rank_cutoff": 1}, "rank_cutoff must be above 0 and below 1"),
        ({"grace_population": 0}, "grace_population must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument is refused at construction, naming it."""
    with pytest.raises(ValueError, match=message):
        rule(**arguments)


def test_another_resource_than_the_wrapped_scheduler_has_is_refused() -> None:
    """Two names for the resource would compare apples with pears."""
    inner = ASHA(SPACE, metric="loss", max_resource_attr="max_epochs", resource_attr="epoch")
    with pytest.raises(ValueError, match="resource_attr='step' differs from the wrapped scheduler's 'epoch'"):
        MedianStoppingRule(inner, "step")


def test_the_resource_is_not_what_trials_are_compared_by() -> None:
    """A metric cannot be what counts epochs."""
    inner = RandomSearch(SPACE, metric="epoch")
    with pytest.raises(ValueError, match="resource_attr='epoch' is what is to be compared"):
        MedianStoppingRule(inner, "epoch")


@pytest.mark.parametrize(
    "result", [{"loss": 1.0}, {"epoch": 1}, {"epoch": "one", "loss": 1.0}, {"epoch": 1, "loss": "low"}]
)
def test_an_unusable_report_is_explained(result: dict[str, Any]) -> None:
    """A report without resource or metric names both and the trial."""
    with pytest.raises(ValueError, match="trial 0 must report 'epoch'"):
        MedianStopping(SPACE, metric="loss").on_trial_result(Trial(0, dict(SPACE)), result)
