"""HyperbandScheduler: arguments, brackets, and single decisions; the rule as a whole is held against a reference."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from cloudtune.config_space import randint, uniform
from cloudtune.optimizer.baselines import ASHA
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers import HyperbandScheduler
from cloudtune.trial import Trial
from tests.optimizer.recording_searcher import RecordingSearcher

CONTINUE, PAUSE, STOP = SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE, SchedulerDecision.STOP

SPACE: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 27}


def asha(**arguments: Any) -> ASHA:
    """ASHA with rungs 1, 3, 9 of 27."""
    given = {"metric": "loss", "max_resource_attr": "max_epochs", "random_seed": 1, **arguments}
    return ASHA(given.pop("config_space", SPACE), **given)


def begin(scheduler: HyperbandScheduler, trial_id: int) -> Trial:
    """Starts a new trial."""
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.trial_id is None
    assert suggestion.config is not None
    trial = Trial(trial_id, suggestion.config)
    scheduler.on_trial_add(trial)
    return trial


def paused(scheduler: HyperbandScheduler, losses: list[float], epoch: int = 1) -> list[Trial]:
    """New trials, one for each loss, that have paused at ``epoch``."""
    trials = [begin(scheduler, trial_id) for trial_id in range(len(losses))]
    for trial, loss in zip(trials, losses, strict=True):
        assert scheduler.on_trial_result(trial, {"epoch": epoch, "loss": loss}) == PAUSE
        scheduler.on_trial_remove(trial)
    return trials


def resumed(scheduler: HyperbandScheduler) -> tuple[int, int] | None:
    """The trial that the next suggestion resumes, with its new maximum, or None for a new trial."""
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.config is not None
    return None if suggestion.trial_id is None else (suggestion.trial_id, suggestion.config["max_epochs"])


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_resource_attr": None}, "pass max_resource_attr, .*, or else max_t=27"),
        (
            {"max_resource_attr": "epochs"},
            "max_resource_attr 'epochs' is not in the config space, which has x, max_epochs",
        ),
        ({"max_resource_attr": "x"}, "must be a positive integer constant, got"),
        ({"config_space": {**SPACE, "max_epochs": 27.0}}, "must be a positive integer constant, got 27.0"),
        ({"config_space": {**SPACE, "max_epochs": True}}, "must be a positive integer constant, got True"),
        ({"config_space": {**SPACE, "max_epochs": 0}}, "must be a positive integer constant, got 0"),
        ({"config_space": {**SPACE, "max_epochs": "27"}}, "must be a positive integer constant, got '27'"),
        ({"config_space": {**SPACE, "max_epochs": randint(1, 27)}}, "must be a positive integer constant"),
        ({"max_t": 81}, "max_t=81 contradicts config_space\\['max_epochs'\\]=27"),
        ({"max_resource_attr": None, "max_t": 0}, "max_t must be a positive integer, got 0"),
        ({"reduction_factor": 1}, "reduction_factor must be above 1"),
        ({"reduction_factor": 0.5}, "reduction_factor must be above 1"),
        ({"grace_period": 28}, "grace_period=28 is above the maximum resource 27"),
        ({"grace_period": 0}, "grace_period must be a positive integer, got 0"),
        ({"grace_period": 1.5}, "grace_period must be a positive integer, got 1.5"),
        ({"brackets": 5}, "brackets must be an integer from 1 to 4, the number of levels 1, 3, 9, 27; got 5"),
        ({"brackets": 0}, "brackets must be an integer from 1 to 4"),
        ({"type": "pausing"}, "type must be one of 'stopping', 'promotion', 'pasha', got 'pausing'"),
        ({"rung_levels": 3}, "rung_levels must be positive integers in increasing order, got 3"),
        ({"rung_levels": [3, 3]}, "rung_levels must be positive integers in increasing order"),
        ({"rung_levels": [0, 3]}, "rung_levels must be positive integers in increasing order"),
        ({"rung_levels": [3, 27]}, "rung_levels must be below the maximum resource 27"),
        ({"resource_attr": ""}, "resource_attr must name what the script reports"),
        ({"metric": ["a", "b"]}, "metric must be one name"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument is refused at construction with what to pass instead."""
    with pytest.raises(ValueError, match=message):
        asha(**arguments)


def test_rung_levels_may_be_given() -> None:
    """Levels of one's own replace the geometric ones; numpy's integers will do, and metadata stays JSON."""
    scheduler = asha(rung_levels=[np.int64(2), 5])
    assert scheduler.metadata()["rung_levels"] == [2, 5, 27]
    assert asha(rung_levels=[]).rung_levels == [27]
    assert all(type(level) is int for level in scheduler.rung_levels)


def test_max_t_may_stand_beside_an_agreeing_constant() -> None:
    """Giving the maximum twice is fine as long as it is the same."""
    assert asha(max_t=27).max_t == 27


def test_the_rung_levels_are_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first suggestion says plainly at which levels trials are compared, the next ones do not."""
    with caplog.at_level(logging.INFO):
        scheduler = asha(type="promotion", brackets=2)
        assert not caplog.messages
        begin(scheduler, 0)
        begin(scheduler, 1)
    assert caplog.messages == [
        (
            "Trials are compared at epoch = 1, 3, 9 and paused, and resumed when among the best there; they end at 27 "
            "(2 brackets)."
        )
    ]


# ---------------------------------------------------------------------- the end of a trial


@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_at_the_maximum_a_script_ends_by_itself_if_it_knows_it(kind: str) -> None:
    """With ``max_resource_attr`` the last report is answered with CONTINUE, one beyond it with STOP."""
    scheduler = asha(type=kind)
    trial = begin(scheduler, 0)
    assert scheduler.on_trial_result(trial, {"epoch": 27, "loss": 1.0}) == CONTINUE
    assert scheduler.on_trial_result(trial, {"epoch": 28, "loss": 1.0}) == STOP


@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_at_the_maximum_a_script_is_stopped_if_it_does_not_know_it(kind: str) -> None:
    """With ``max_t`` alone the report at the maximum is answered with STOP."""
    scheduler = asha(type=kind, max_resource_attr=None, max_t=27)
    trial = begin(scheduler, 0)
    assert scheduler.on_trial_result(trial, {"epoch": 27, "loss": 1.0}) == STOP
    assert scheduler.on_trial_result(trial, {"epoch": 28, "loss": 1.0}) == STOP


def test_reports_after_the_answer_change_nothing() -> None:
    """A report after PAUSE is answered with PAUSE again, and does not count in another rung."""
    scheduler = asha(type="promotion")
    trials = [begin(scheduler, trial_id) for trial_id in range(3)]
    for trial in trials:
        assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": 0.1}) == PAUSE
        assert scheduler.on_trial_result(trial, {"epoch": 2, "loss": 0.1}) == PAUSE
        assert scheduler.on_trial_result(trial, {"epoch": 3, "loss": 0.1}) == PAUSE
        scheduler.on_trial_remove(trial)
    assert resumed(scheduler) == (0, 3)


def test_a_report_below_the_next_level_needs_no_metric() -> None:
    """Between rungs nothing is compared."""
    scheduler = asha(grace_period=3)
    trial = begin(scheduler, 0)
    assert scheduler.on_trial_result(trial, {"epoch": 2, "loss": math.nan}) == CONTINUE


@pytest.mark.parametrize(
    "result",
    [
        {"loss": 1.0},
        {"epoch": 1},
        {"epoch": "1", "loss": 1.0},
        {"epoch": 1, "loss": "low"},
        {"epoch": None, "loss": 1.0},
    ],
)
def test_an_unusable_report_is_explained(result: dict[str, Any]) -> None:
    """A report without resource or metric, or without numbers there, names trial, keys and what was reported."""
    scheduler = asha()
    trial = begin(scheduler, 0)
    with pytest.raises(
        ValueError, match=r"trial 0 must report 'epoch' \(resource_attr\) and 'loss' \(metric\) as numbers"
    ):
        scheduler.on_trial_result(trial, result)


# ---------------------------------------------------------------------- stopping


def test_stopping_tells_good_from_bad() -> None:
    """With "max", of four trials at the first rung, the third and worst is stopped, a better fourth runs on."""
    scheduler = asha(mode="max")
    answers = [
        scheduler.on_trial_result(begin(scheduler, trial_id), {"epoch": 1, "loss": value})
        for trial_id, value in enumerate([0.5, 0.6, 0.4, 0.7])
    ]
    assert answers == [CONTINUE, CONTINUE, STOP, CONTINUE]


def test_a_jump_over_rungs_counts_in_each() -> None:
    """A trial that jumps from below the first rung beyond the second is stopped if either says so."""
    scheduler = asha()
    first = begin(scheduler, 0)
    assert scheduler.on_trial_result(first, {"epoch": 1, "loss": 0.1}) == CONTINUE
    assert scheduler.on_trial_result(begin(scheduler, 1), {"epoch": 4, "loss": 0.2}) == STOP
    assert scheduler.on_trial_result(first, {"epoch": 3, "loss": 0.3}) == STOP


def test_values_that_are_not_finite_are_stopped() -> None:
    """Among finite values, NaN and either infinity are stopped, in both modes."""
    for mode in ("min", "max"):
        for value in (math.nan, math.inf, -math.inf):
            scheduler = asha(mode=mode)
            for trial_id in range(3):
                scheduler.on_trial_result(begin(scheduler, trial_id), {"epoch": 1, "loss": 1.0})
            assert scheduler.on_trial_result(begin(scheduler, 3), {"epoch": 1, "loss": value}) == STOP


# ---------------------------------------------------------------------- promotion


def test_new_and_promoted_trials_are_told_how_far_to_train() -> None:
    """The constant under ``max_resource_attr`` is the next rung level; the rest of the configuration stays."""
    scheduler = asha(type="promotion")
    trials = paused(scheduler, [0.3, 0.1, 0.2])
    assert {trial.config["max_epochs"] for trial in trials} == {1}
    suggestion = scheduler.suggest()
    assert suggestion == TrialSuggestion.resume_suggestion(1, {**trials[1].config, "max_epochs": 3})


def test_without_max_resource_attr_a_promoted_trial_keeps_its_configuration() -> None:
    """Where scripts cannot be told how far to train, nothing in the configuration changes."""
    scheduler = asha(type="promotion", max_resource_attr=None, max_t=27)
    trials = paused(scheduler, [0.3, 0.1, 0.2])
    assert trials[0].config["max_epochs"] == 27
    assert scheduler.suggest() == TrialSuggestion.resume_suggestion(1)


def test_the_highest_rung_is_promoted_from_first() -> None:
    """A trial that may leave the second rung goes before a better one at the first."""
    scheduler = asha(type="promotion", reduction_factor=3)
    trials = paused(scheduler, [0.1, 0.2, 0.3], epoch=3)
    late = Trial(3, trials[0].config)
    scheduler.restore(TrialSuggestion.start_suggestion(late.config))
    scheduler.on_trial_add(late)
    assert scheduler.on_trial_result(late, {"epoch": 1, "loss": 0.01}) == PAUSE
    scheduler.on_trial_remove(late)
    assert resumed(scheduler) == (0, 9)
    assert resumed(scheduler) == (3, 3)


def test_a_trial_is_promoted_only_after_it_has_ended() -> None:
    """Between the decision to pause and the end of the process nothing may be resumed."""
    scheduler = asha(type="promotion")
    trials = [begin(scheduler, trial_id) for trial_id in range(3)]
    for trial in trials:
        scheduler.on_trial_result(trial, {"epoch": 1, "loss": float(trial.trial_id)})
    for trial in trials[1:]:
        scheduler.on_trial_remove(trial)
    assert resumed(scheduler) is None
    scheduler.on_trial_remove(trials[0])
    assert resumed(scheduler) == (0, 3)


def test_a_failed_trial_is_never_promoted_and_keeps_its_place() -> None:
    """A trial that fails while it pauses, or after its promotion, keeps its place: the next best must wait."""
    scheduler = asha(type="promotion")
    trials = [begin(scheduler, trial_id) for trial_id in range(3)]
    for trial in trials:
        scheduler.on_trial_result(trial, {"epoch": 1, "loss": float(trial.trial_id)})
    scheduler.on_trial_error(trials[0])
    for trial in trials[1:]:
        scheduler.on_trial_remove(trial)
    assert resumed(scheduler) is None

    scheduler = asha(type="promotion")
    trials = paused(scheduler, [0.1, 0.2, 0.3])
    assert resumed(scheduler) == (0, 3)
    scheduler.on_trial_error(trials[0])
    assert resumed(scheduler) is None


def test_a_trial_that_fails_while_it_waits_is_never_promoted() -> None:
    """A paused trial that turns out to be lost is not resumed, and keeps its place among the results."""
    scheduler = asha(type="promotion")
    trials = paused(scheduler, [0.1, 0.2, 0.3])
    scheduler.on_trial_error(trials[0])
    assert resumed(scheduler) is None


@pytest.mark.parametrize("end", ["stopped", "failed", "removed", "completed"])
def test_the_report_of_a_trial_that_has_ended_is_answered_with_stop(end: str) -> None:
    """However a trial ended, nothing it reports later counts."""
    scheduler = asha()
    scheduler.on_trial_result(begin(scheduler, 0), {"epoch": 1, "loss": 1.0})
    trial = begin(scheduler, 1)
    if end == "stopped":
        assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": 2.0}) == STOP
    elif end == "failed":
        scheduler.on_trial_error(trial)
    elif end == "removed":
        scheduler.on_trial_remove(trial)
    else:
        scheduler.on_trial_complete(trial, {"epoch": 1, "loss": 2.0})
    assert scheduler.on_trial_result(trial, {"epoch": 2, "loss": 0.0}) == STOP
    assert scheduler.on_trial_result(begin(scheduler, 2), {"epoch": 3, "loss": 3.0}) == STOP


def test_a_script_that_ends_at_its_level_has_paused() -> None:
    """Told to train to the rung only, a script ends there by itself: that is a pause, not the end of the trial."""
    scheduler = asha(type="promotion")
    trials = [begin(scheduler, trial_id) for trial_id in range(3)]
    for trial in trials:
        result = {"epoch": 1, "loss": float(trial.trial_id)}
        scheduler.on_trial_result(trial, result)
        scheduler.on_trial_complete(trial, result)
    assert resumed(scheduler) == (0, 3)


def test_a_script_that_ends_without_having_been_told_a_level_is_done() -> None:
    """Where scripts do not know the levels, one that completes at a rung has nothing left to do."""
    scheduler = asha(type="promotion", max_resource_attr=None, max_t=27)
    trials = [begin(scheduler, trial_id) for trial_id in range(3)]
    for trial in trials:
        result = {"epoch": 1, "loss": float(trial.trial_id)}
        scheduler.on_trial_result(trial, result)
        scheduler.on_trial_complete(trial, result)
    assert resumed(scheduler) is None


def test_a_jump_promotes_out_of_the_rungs_below() -> None:
    """A trial that jumps over rungs waits at the highest; it never comes back from a lower one."""
    scheduler = asha(type="promotion")
    paused(scheduler, [0.1, 0.2, 0.3], epoch=4)
    assert resumed(scheduler) == (0, 9)
    assert resumed(scheduler) is None


def test_only_a_waiting_trial_can_be_resumed_from_a_log() -> None:
    """A log that resumes a trial this scheduler never paused is refused with a word on the reason."""
    scheduler = asha(type="promotion")
    begin(scheduler, 0)
    for trial_id in (0, 5):
        with pytest.raises(ValueError, match=f"trial {trial_id} cannot be resumed since it does not wait at a rung"):
            scheduler.restore(TrialSuggestion.resume_suggestion(trial_id))


# ---------------------------------------------------------------------- brackets


def test_brackets_are_drawn_by_weight_and_have_rungs_of_their_own() -> None:
    """First levels come as often as the weights say, and results of one bracket do not count in another."""
    scheduler = asha(type="promotion", brackets=3)
    first = Counter(begin(scheduler, trial_id).config["max_epochs"] for trial_id in range(3000))
    weights = {1: 1 / 4, 3: 1 / 9, 9: 1 / 18}
    for level, weight in weights.items():
        expected = 3000 * weight / sum(weights.values())
        assert 0.8 * expected < first[level] < 1.2 * expected

    scheduler = asha(brackets=2)
    trials = {1: [], 3: []}  # type: dict[int, list[Trial]]
    for trial_id in range(60):
        trial = begin(scheduler, trial_id)
        # The bracket shows in where a trial is compared first: a hopeless value is stopped at level 1 in bracket 0.
        good = scheduler.on_trial_result(trial, {"epoch": 1, "loss": float(trial_id)}) == CONTINUE
        trials[3 if good else 1].append(trial)
    assert len(trials[3]) > 5
    answers = [scheduler.on_trial_result(trial, {"epoch": 3, "loss": 1.0}) for trial in trials[3]]
    assert answers == [CONTINUE] * len(answers)


def test_a_trial_that_was_never_suggested_belongs_to_the_first_bracket() -> None:
    """Trials from elsewhere can be added; one that was not is answered with STOP."""
    scheduler = asha(brackets=3)
    trial = Trial(0, dict(SPACE))
    assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0}) == STOP
    scheduler.on_trial_add(trial)
    assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0}) == CONTINUE


@pytest.mark.defect("C11")
@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_the_searcher_is_told_everything(kind: str) -> None:
    """A searcher of one's own hears of every suggestion, start, report, completion, failure and removal."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = HyperbandScheduler(SPACE, searcher, metric="loss", resource_attr="epoch", max_t=27, type=kind)
    assert searcher.tell_all_and_return_calls(scheduler) == searcher.expected_calls()


def test_a_restored_searcher_sees_the_maximum_of_the_space() -> None:
    """What a searcher is told of a restored trial is what it would have been told of a computed one."""
    computed, restored = RecordingSearcher(SPACE, [], 1), RecordingSearcher(SPACE, [], 1)
    schedulers = [
        HyperbandScheduler(
            SPACE, searcher, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type="promotion"
        )
        for searcher in (computed, restored)
    ]
    suggestion = schedulers[0].suggest()
    assert suggestion is not None
    schedulers[1].restore(suggestion)
    assert restored.configs == computed.configs
    assert restored.configs[0]["max_epochs"] == 27
