"""SynchronousHyperbandScheduler: arguments, sizes and single decisions. Its rule is held against a reference."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from cloudtune.config_space import choice, randint, uniform
from cloudtune.optimizer.baselines import SyncHyperband
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.optimizer.schedulers.halving import rung_sizes
from cloudtune.optimizer.schedulers.synchronous import SynchronousHyperbandScheduler
from cloudtune.trial import Trial
from tests.optimizer.recording_searcher import RecordingSearcher

CONTINUE, PAUSE, STOP = SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE, SchedulerDecision.STOP

SPACE: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 9}


def synchronous(**arguments: Any) -> SyncHyperband:
    """Levels 1, 3, 9: brackets of 9, 5 and 3 trials."""
    given = {"metric": "loss", "max_resource_attr": "max_epochs", "random_seed": 1, **arguments}
    return SyncHyperband(given.pop("config_space", SPACE), **given)


def begin(scheduler: SynchronousHyperbandScheduler, trial_id: int) -> Trial:
    """Starts a new trial."""
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.trial_id is None
    assert suggestion.config is not None
    trial = Trial(trial_id, suggestion.config)
    scheduler.on_trial_add(trial)
    return trial


def pause(scheduler: SynchronousHyperbandScheduler, trial: Trial, loss: float, epoch: int = 1) -> None:
    """A trial reports, is told to pause, and does so."""
    assert scheduler.on_trial_result(trial, {"epoch": epoch, "loss": loss}) == PAUSE
    scheduler.on_trial_remove(trial)


def first_rung(scheduler: SynchronousHyperbandScheduler, losses: list[float]) -> list[Trial]:
    """New trials, one for each loss, that have paused at the first level."""
    trials = [begin(scheduler, trial_id) for trial_id in range(len(losses))]
    for trial, loss in zip(trials, losses, strict=True):
        pause(scheduler, trial, loss)
    return trials


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_resource_attr": None}, "pass max_resource_attr, .*, or else max_t=27"),
        ({"max_resource_attr": "epochs"}, "max_resource_attr 'epochs' is not in the config space, which has x"),
        ({"config_space": {**SPACE, "max_epochs": randint(1, 9)}}, "must be a positive integer constant"),
        ({"max_t": 81}, "max_t=81 contradicts config_space\\['max_epochs'\\]=9"),
        ({"reduction_factor": "3"}, "reduction_factor must be above 1, got '3'"),
        ({"reduction_factor": 1}, "reduction_factor must be above 1, got 1; 3 is a good choice"),
        ({"grace_period": 10}, "grace_period=10 is above the maximum resource 9"),
        ({"grace_period": 0}, "grace_period must be a positive integer, got 0"),
        ({"brackets": 4}, "brackets must be an integer from 1 to 3, the number of levels 1, 3, 9; got 4"),
        ({"brackets": 0}, "brackets must be an integer from 1 to 3"),
        ({"rung_levels": [3, 2]}, "rung_levels must be positive integers in increasing order"),
        ({"resource_attr": ""}, "resource_attr must name what the script reports"),
        ({"metric": ["a", "b"]}, "metric must be one name"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument is refused at construction with what to pass instead."""
    with pytest.raises(ValueError, match=message):
        synchronous(**arguments)


def test_sizes_are_those_of_the_paper() -> None:
    """With R = 81 and eta = 3 the rungs have the sizes of table 1 of the paper."""
    levels = [1, 3, 9, 27, 81]
    sizes = [rung_sizes(levels[s:], 5) for s in range(5)]
    assert sizes == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]


def test_levels_that_are_no_powers_leave_at_least_one_to_the_end() -> None:
    """Whatever the levels, a bracket trains at least one trial to the maximum, and sizes never grow."""
    for levels in ([1, 3, 9, 20], [2, 3, 5, 7, 11], [7], [4, 5], [1, 100]):
        for s in range(len(levels)):
            sizes = rung_sizes(levels[s:], len(levels))
            assert sizes[-1] >= 1
            assert sorted(sizes, reverse=True) == sizes


def test_metadata_tells_the_brackets() -> None:
    """All levels begin a bracket unless a number is given."""
    metadata = synchronous().metadata()
    assert (metadata["brackets"], metadata["rung_levels"]) == (3, [1, 3, 9])
    assert synchronous(brackets=1).metadata()["brackets"] == 1


def test_the_brackets_are_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first suggestion says how many trials are trained how far, the next ones do not."""
    with caplog.at_level(logging.INFO):
        scheduler = synchronous()
        begin(scheduler, 0)
        begin(scheduler, 1)
    assert caplog.messages == [
        "Brackets of successive halving, trials by epoch: 9 to 1, 3 to 3, 1 to 9; 5 to 3, 1 to 9; 3 to 9."
    ]


# ---------------------------------------------------------------------- a bracket


def test_the_best_go_on_when_all_have_ended() -> None:
    """Of nine trials three are resumed, best first, when the ninth has paused; then the best of them to the end."""
    scheduler = synchronous(brackets=1)
    trials = [begin(scheduler, trial_id) for trial_id in range(9)]
    assert {trial.config["max_epochs"] for trial in trials} == {1}
    for trial in trials[:-1]:
        pause(scheduler, trial, float(trial.trial_id * 4 % 9))
    assert begin(scheduler, 9).config["max_epochs"] == 1  # of the next bracket: a worker was free
    pause(scheduler, trials[8], float(8 * 4 % 9))
    resumed = [scheduler.suggest() for _ in range(3)]
    expected = [TrialSuggestion.resume_suggestion(one, {**trials[one].config, "max_epochs": 3}) for one in (0, 7, 5)]
    assert resumed == expected
    assert sorted(scheduler.expendable_checkpoints()) == [1, 2, 3, 4, 6, 8]
    for loss, one in enumerate((5, 7, 0)):
        pause(scheduler, trials[one], float(loss), epoch=3)
    assert scheduler.suggest() == TrialSuggestion.resume_suggestion(5, {**trials[5].config, "max_epochs": 9})
    assert scheduler.on_trial_result(trials[5], {"epoch": 8, "loss": 1.0}) == CONTINUE
    assert scheduler.on_trial_result(trials[5], {"epoch": 9, "loss": 1.0}) == CONTINUE
    assert scheduler.on_trial_result(trials[5], {"epoch": 10, "loss": 1.0}) == STOP


def test_brackets_take_turns() -> None:
    """New trials begin at the levels of the brackets, as many as each takes, and then from the front."""
    scheduler = synchronous()
    levels = [begin(scheduler, trial_id).config["max_epochs"] for trial_id in range(20)]
    assert levels == [1] * 9 + [3] * 5 + [9] * 3 + [1] * 3


def test_an_earlier_bracket_goes_first() -> None:
    """While trials of the next bracket are to begin, those that an earlier one resumes come before them."""
    scheduler = synchronous(brackets=1)
    trials = [begin(scheduler, trial_id) for trial_id in range(12)]
    for trial in trials[:9]:
        pause(scheduler, trial, float(trial.trial_id))
    assert [suggestion.trial_id for suggestion in (scheduler.suggest() for _ in range(4)) if suggestion] == [
        0,
        1,
        2,
        None,
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_values_that_are_not_finite_rank_worst(value: float, mode: str) -> None:
    """A trial that has diverged goes on only where there are too few others."""
    scheduler = synchronous(brackets=1, mode=mode)
    first_rung(scheduler, [value, 3.0, value, 2.0, 1.0, *[value] * 4])
    resumed = [scheduler.suggest() for _ in range(3)]
    assert sorted(suggestion.trial_id or 0 for suggestion in resumed if suggestion) == [1, 3, 4]


def test_those_that_end_early_do_not_go_on() -> None:
    """A failed, a stopped, and a script that ended before its level use their places; the others go on."""
    scheduler = synchronous(brackets=1, grace_period=2, reduction_factor=2)
    trials = [begin(scheduler, trial_id) for trial_id in range(5)]
    scheduler.on_trial_result(trials[0], {"epoch": 1, "loss": 0.0})
    scheduler.on_trial_complete(trials[0], {"epoch": 1, "loss": 0.0})
    scheduler.on_trial_error(trials[1])
    scheduler.on_trial_remove(trials[2])
    for trial in trials[:3]:
        assert scheduler.on_trial_result(trial, {"epoch": 2, "loss": 0.0}) == STOP
    scheduler.on_trial_error(trials[4])
    pause(scheduler, trials[3], 5.0, epoch=2)
    assert scheduler.suggest() == TrialSuggestion.resume_suggestion(3, {**trials[3].config, "max_epochs": 4})


def test_where_all_trials_fail_the_next_bracket_begins() -> None:
    """A bracket whose trials have all failed is over; new trials belong to the next."""
    scheduler = synchronous()
    for trial_id in range(9):
        scheduler.on_trial_error(begin(scheduler, trial_id))
    assert begin(scheduler, 9).config["max_epochs"] == 3
    assert len(scheduler._halvings) == 1


def test_a_paused_trial_that_is_lost_makes_room() -> None:
    """A trial that fails while it waits, or while it is to be resumed, does not go on, and holds nobody up."""
    scheduler = synchronous(brackets=1)
    trials = [begin(scheduler, trial_id) for trial_id in range(9)]
    for trial in trials[:-1]:
        pause(scheduler, trial, float(trial.trial_id))
    scheduler.on_trial_error(trials[0])
    pause(scheduler, trials[8], 8.0)
    scheduler.on_trial_error(trials[2])
    assert [suggestion.trial_id for suggestion in (scheduler.suggest() for _ in range(3)) if suggestion] == [1, 3, None]
    scheduler.on_trial_remove(trials[1])
    scheduler.on_trial_error(trials[3])
    assert len(scheduler._halvings) == 1


def test_a_jump_over_a_level_counts_for_it() -> None:
    """A trial that reported beyond the next level need not run for that rung again."""
    scheduler = synchronous(brackets=1)
    trials = [begin(scheduler, trial_id) for trial_id in range(9)]
    for trial in trials:
        pause(scheduler, trial, float(trial.trial_id), epoch=4 if trial.trial_id < 3 else 1)
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion == TrialSuggestion.resume_suggestion(0, {**trials[0].config, "max_epochs": 9})


def test_resources_that_go_back_change_nothing() -> None:
    """A report below the level is never compared, nor one after the answer to pause; no metric is needed there."""
    scheduler = synchronous(brackets=1, grace_period=3, reduction_factor=3)
    trial = begin(scheduler, 0)
    assert scheduler.on_trial_result(trial, {"epoch": 2, "loss": 1.0}) == CONTINUE
    assert scheduler.on_trial_result(trial, {"epoch": 1}) == CONTINUE
    assert scheduler.on_trial_result(trial, {"epoch": 3, "loss": 1.0}) == PAUSE
    assert scheduler.on_trial_result(trial, {"epoch": 2}) == PAUSE


@pytest.mark.parametrize("result", [{"loss": 1.0}, {"epoch": 1}, {"epoch": 1, "loss": "low"}])
def test_an_unusable_report_is_explained(result: dict[str, Any]) -> None:
    """A report without resource or metric, or without numbers there, names trial and keys."""
    scheduler = synchronous()
    with pytest.raises(ValueError, match=r"trial 0 must report 'epoch' \(resource_attr\) and 'loss' \("):
        scheduler.on_trial_result(begin(scheduler, 0), result)


@pytest.mark.parametrize("knows_maximum", [True, False])
def test_a_script_that_ends_at_its_level_has_paused_if_it_was_told(knows_maximum: bool) -> None:
    """Told to train to its rung only, a script ends there by itself; one that was not told has nothing left to do."""
    known: dict[str, Any] = {} if knows_maximum else {"max_resource_attr": None, "max_t": 9}
    scheduler = synchronous(brackets=1, **known)
    trials = [begin(scheduler, trial_id) for trial_id in range(9)]
    for trial in trials:
        result = {"epoch": 1, "loss": float(trial.trial_id)}
        assert scheduler.on_trial_result(trial, result) == PAUSE
        scheduler.on_trial_complete(trial, result)
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert (suggestion.trial_id == 0) == knows_maximum


def test_a_script_that_does_not_know_the_maximum_is_stopped_there() -> None:
    """With ``max_t`` alone the report at the maximum is answered with STOP, as often as it comes."""
    scheduler = synchronous(max_resource_attr=None, max_t=9)
    trial = begin(scheduler, 0)
    assert scheduler.on_trial_result(trial, {"epoch": 9, "loss": 1.0}) == STOP
    assert scheduler.on_trial_result(trial, {"epoch": 10, "loss": 1.0}) == STOP
    assert trial.config["max_epochs"] == 9


# ---------------------------------------------------------------------- the end, and beginning again


def test_an_exhausted_space_is_brought_to_its_end() -> None:
    """Four configurations for a bracket of nine: when all have paused, the best of them goes on, and to the end."""
    scheduler = synchronous(config_space={"x": choice(list("abcd")), "max_epochs": 9})
    trials = [begin(scheduler, trial_id) for trial_id in range(4)]
    assert scheduler.suggest() is None
    for trial in trials:
        pause(scheduler, trial, float(trial.trial_id))
    # The log does not tell that it was asked for nothing, so that this may have changed nothing.
    assert scheduler.expendable_checkpoints() == []
    suggestion = scheduler.suggest()
    assert suggestion == TrialSuggestion.resume_suggestion(0, {**trials[0].config, "max_epochs": 3})
    assert scheduler.expendable_checkpoints() == [1, 2, 3]
    assert scheduler.suggest() is None
    pause(scheduler, trials[0], 0.0, epoch=3)
    suggestion = scheduler.suggest()
    assert suggestion == TrialSuggestion.resume_suggestion(0, {**trials[0].config, "max_epochs": 9})
    scheduler.on_trial_complete(trials[0], {"epoch": 9, "loss": 0.0})
    assert scheduler.suggest() is None


def test_only_the_best_of_a_complete_rung_can_be_resumed_from_a_log() -> None:
    """A log that resumes a trial this scheduler would not is refused with a word on the reason."""
    scheduler = synchronous(brackets=1)
    first_rung(scheduler, [float(loss) for loss in range(9)])
    for trial_id in (7, 20):
        with pytest.raises(ValueError, match=f"trial {trial_id} cannot be resumed since it is not among the best"):
            scheduler.restore(TrialSuggestion.resume_suggestion(trial_id))
    scheduler.restore(TrialSuggestion.resume_suggestion(1))


def test_a_trial_that_was_never_suggested_takes_a_place() -> None:
    """Trials from elsewhere can be added; one that was not is answered with STOP."""
    scheduler = synchronous()
    trial = Trial(0, dict(SPACE))
    assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0}) == STOP
    scheduler.on_trial_add(trial)
    assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0}) == PAUSE


@pytest.mark.defect("C11")
def test_the_searcher_is_told_everything() -> None:
    """A searcher of one's own hears of the goal and of every suggestion, start, report, end, failure and removal."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = SynchronousHyperbandScheduler(
        SPACE, searcher, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs"
    )
    assert searcher.goal == Goal(("loss",), ("min",), "epoch", 9, (1, 3, 9))
    calls = searcher.tell_all_and_return_calls(scheduler)
    without_level = [
        tuple({**one, "max_epochs": 9} if isinstance(one, dict) and "x" in one else one for one in call)
        for call in calls
    ]
    assert without_level == searcher.expected_calls()


@pytest.mark.parametrize("restored", [False, True])
def test_the_searcher_hears_of_trials_that_go_on(restored: bool) -> None:
    """A searcher that counts running trials as pending needs to know; also when the log is told again."""
    heard: list[int] = []

    class Listening(RecordingSearcher):
        def on_trial_resume(self, trial_id: int, config: dict[str, Any]) -> None:
            heard.append(trial_id)

    scheduler = SynchronousHyperbandScheduler(
        SPACE, Listening(SPACE, []), metric="loss", resource_attr="epoch", max_t=9, brackets=1
    )
    first_rung(scheduler, [float(loss) for loss in range(9)])
    if restored:
        scheduler.restore(TrialSuggestion.resume_suggestion(2))
    else:
        scheduler.suggest()
    assert heard == [2 if restored else 0]
