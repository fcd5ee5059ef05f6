"""Scripts that end by themselves below the level that they were told: the methods that promote work all the same."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA, MOASHA, PASHA, SyncHyperband
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.optimizer.schedulers import HyperbandScheduler, MedianStoppingRule, SynchronousHyperbandScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.trial import Trial, TrialStatus
from cloudtune.tuner import Tuner
from tests.optimizer.recording_searcher import RecordingSearcher
from tests.virtual import Killed, Machine, Program
from tests.virtual_tuner import make_tuner, of_kind

SPACE: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 20}
OPTIONS: dict[str, Any] = {
    "metric": "loss",
    "max_resource_attr": "max_epochs",
    "rung_levels": [6, 13],
    "resource_attr": "epoch",
    "random_seed": 4,
}


def promotion(searcher: Any = "random", **options: Any) -> HyperbandScheduler:
    """Levels 6, 13 and 20."""
    return HyperbandScheduler(SPACE, searcher, **{**OPTIONS, "type": "promotion", **options})


METHODS: dict[str, Callable[[], TrialScheduler]] = {
    "promotion": promotion,
    "brackets": lambda: promotion(brackets=3),
    "pasha": lambda: PASHA(SPACE, **OPTIONS),
    "moasha": lambda: MOASHA(SPACE, **{**OPTIONS, "metric": ["loss", "size"]}, type="promotion"),
    "synchronous": lambda: SyncHyperband(SPACE, **OPTIONS),
    "median rule": lambda: MedianStoppingRule(promotion(), "epoch", grace_time=20),
}

#: What the reports of some scripts make of an epoch, counted from 1; None: there is no such report.
SCRIPTS: dict[str, Callable[[int], float | None]] = {
    "counts from 0": lambda epoch: epoch - 1,
    "every fifth epoch": lambda epoch: epoch if epoch % 5 == 0 else None,
    "fractions": lambda epoch: epoch / 10,
}


def quality(config: Mapping[str, Any], level: int) -> float:
    """The same order of trials at every level."""
    return float(config["x"]) + 1 / level


def machine_for(script: str, keeps_checkpoints: bool = True) -> Machine:
    """A machine with scripts that report as said; another metric wants the opposite."""
    machine = Machine(Program(quality, keeps_checkpoints=keeps_checkpoints))
    advance, counted = machine.advance, SCRIPTS.get(script, float)

    def changed(attempt: Any) -> None:
        before = len(attempt.reports)
        advance(attempt)
        for report in attempt.reports[before:]:
            epoch = counted(report["epoch"])
            if epoch is None:
                attempt.reports.remove(report)
            else:
                report.update(epoch=epoch, size=1 - attempt.config["x"])

    machine.advance = changed  # type: ignore[method-assign]
    return machine


def tuner_of(machine: Machine, scheduler: TrialScheduler) -> Tuner:
    """One worker, so that the order of things does not depend on what the scripts report; every bracket gets on."""
    criterion = StoppingCriterion(max_wallclock_time=400)
    return make_tuner(machine, scheduler, n_workers=1, stop_criterion=criterion)


def run(method: str, script: str, keeps_checkpoints: bool = True) -> Machine:
    """An experiment without interruption."""
    machine = machine_for(script, keeps_checkpoints)
    tuner_of(machine, METHODS[method]()).run()
    return machine


def suggestions(machine: Machine) -> list[tuple[int, dict[str, Any]]]:
    """What the scheduler wanted to run."""
    return [(entry["trial"], entry["config"]) for entry in of_kind(machine, "suggest")]


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("method", METHODS)
def test_trials_are_promoted_as_if_they_had_reported_their_level(method: str, script: str, keeps: bool) -> None:
    """The same trials go on, to the same levels, as with scripts that report every epoch from 1."""
    found, wanted = suggestions(run(method, script, keeps)), suggestions(run(method, "from 1", keeps))
    # The end of a script takes a step of the machine's that a pause cuts short, so that time is up earlier.
    assert found == wanted[: len(found)]
    told = Counter(config["max_epochs"] for _, config in found)
    assert told[6] > 0
    assert told[13] > 0
    assert told[20] > 0 or method == "pasha"


@pytest.mark.parametrize("method", METHODS)
def test_they_wait_or_are_complete(method: str) -> None:
    """A trial that ended at a rung is paused; one that was told the maximum is complete."""
    machine = run(method, "counts from 0")
    for end in of_kind(machine, "end"):
        told = machine.attempts[end["trial"], end["attempt"]].config["max_epochs"]
        if end["outcome"] == "completed":
            assert end["status"] == ("Completed" if told == 20 else "Paused")
            assert end.get("decision") == (None if told == 20 else "PAUSE")
    assert any(end["status"] == "Completed" for end in of_kind(machine, "end")) or method == "pasha"


@pytest.mark.parametrize("method", ["promotion", "pasha", "synchronous"])
def test_killed_anywhere_it_goes_on_as_it_would_have(method: str) -> None:
    """A tuner that dies and is continued from the log makes the suggestions of one that never died."""
    calm = run(method, "counts from 0")
    for fuse in range(5, calm.steps, 41):
        machine = machine_for("counts from 0")
        machine.fuse = fuse
        with pytest.raises(Killed):
            tuner_of(machine, METHODS[method]()).run()
        machine.tuner_died()
        tuner_of(machine, METHODS[method]()).run()
        found, wanted = suggestions(machine), suggestions(calm)
        shorter = min(len(found), len(wanted))
        assert shorter > len(wanted) - 5
        assert found[:shorter] == wanted[:shorter], f"killed at step {fuse}"


@pytest.mark.parametrize("method", METHODS)
def test_it_is_said_once(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """The first such end is told, with what the script should do; those after it are not."""
    with caplog.at_level(logging.WARNING):
        run(method, "counts from 0")
    (warning,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "trial 0 was told max_epochs=" in warning
    assert "reports should count 'epoch' (resource_attr) from 1" in warning


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_said_of_scripts_that_do_as_they_should(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Scripts that report the level that they were told are no reason for a warning."""
    with caplog.at_level(logging.WARNING):
        run(method, "from 1")
    assert caplog.messages == []


def test_a_script_that_reports_nothing_before_its_level_has_failed() -> None:
    """There is nothing to rank it by; the reason says how far it was told to train."""
    machine = machine_for("every fifth epoch")
    scheduler = promotion(rung_levels=[3])
    tuner = make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=1))
    tuner.run()
    assert tuner.status.records[0].reason == (
        "it ended without a report; call report(loss=..., epoch=...) in the training script, "
        "which was told max_epochs=3"
    )


def begun(scheduler: TrialScheduler) -> Trial:
    """The first trial of a scheduler."""
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.config is not None
    trial = Trial(0, suggestion.config)
    scheduler.on_trial_add(trial)
    return trial


@pytest.mark.parametrize("kind", [HyperbandScheduler, SynchronousHyperbandScheduler])
def test_the_searcher_hears_of_the_result_at_the_level(kind: Any) -> None:
    """Searchers that model levels get a result for the one that counts, and do not take the trial for complete."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = kind(SPACE, searcher, **OPTIONS, **({"type": "promotion"} if kind is HyperbandScheduler else {}))
    trial = begun(scheduler)
    searcher.calls.clear()
    result = {"epoch": 5, "loss": 1.0}
    scheduler.on_trial_result(trial, dict(result))
    assert scheduler.on_script_end(trial, dict(result)) == SchedulerDecision.PAUSE
    scheduler.on_trial_remove(trial)
    assert [call[0] for call in searcher.calls] == ["result", "result", "remove"]
    assert searcher.calls[1][3] == {"epoch": 6, "loss": 1.0}


@pytest.mark.parametrize("kind", [HyperbandScheduler, SynchronousHyperbandScheduler])
def test_a_script_that_has_reached_the_maximum_is_complete(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Told a level, it went beyond it to the end: its result counts once, it never goes on, and there is no warning."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = kind(SPACE, searcher, **OPTIONS, **({"type": "promotion"} if kind is HyperbandScheduler else {}))
    trial = begun(scheduler)
    assert trial.config["max_epochs"] == 6
    searcher.calls.clear()
    result = {"epoch": 20, "loss": 1.0}
    assert scheduler.on_trial_result(trial, dict(result)) == SchedulerDecision.CONTINUE
    assert scheduler.on_script_end(trial, dict(result)) == SchedulerDecision.CONTINUE
    scheduler.on_trial_complete(trial, dict(result))
    assert [call[0] for call in searcher.calls] == ["result", "complete"]
    with pytest.raises(ValueError, match="trial 0 cannot be resumed"):
        scheduler.restore(TrialSuggestion.resume_suggestion(0))
    assert caplog.messages == []


@pytest.mark.parametrize("told", [{"max_resource_attr": None, "max_t": 20}, {"type": "stopping"}])
def test_scripts_that_were_told_no_rung_are_complete(told: dict[str, Any]) -> None:
    """One that ends early although nobody told it a level has nothing left to do."""
    scheduler = promotion(**told)
    trial = begun(scheduler)
    scheduler.on_trial_result(trial, {"epoch": 5, "loss": 1.0})
    assert scheduler.on_script_end(trial, {"epoch": 5, "loss": 1.0}) == SchedulerDecision.CONTINUE


def test_a_batch_whose_scripts_are_told_no_level_goes_on_without_them() -> None:
    """In synchronous Hyperband too, a script that was told nothing and ends early is complete."""
    scheduler = SyncHyperband(SPACE, **{**OPTIONS, "max_resource_attr": None}, max_t=20)
    trial = begun(scheduler)
    scheduler.on_trial_result(trial, {"epoch": 5, "loss": 1.0})
    assert scheduler.on_script_end(trial, {"epoch": 5, "loss": 1.0}) == SchedulerDecision.CONTINUE


class EndsOddly(ASHA):
    """Answers what is no answer to the end of a script."""

    def on_script_end(self, trial: Trial, result: dict[str, Any]) -> str:
        return "STOP"


def test_another_answer_is_refused() -> None:
    """A scheduler of one's own that answers neither CONTINUE nor PAUSE is told so."""
    scheduler = EndsOddly(SPACE, metric="loss", max_resource_attr="max_epochs", random_seed=1)
    with pytest.raises(ValueError, match=r"EndsOddly\.on_script_end answered 'STOP'; it must answer .*CONTINUE or PA"):
        tuner_of(machine_for("from 1"), scheduler).run()


def test_a_trial_that_was_told_to_stop_is_not_asked_about() -> None:
    """A script that ends by itself after a decision to stop is over, whatever the scheduler would say of its end."""

    class Stops(ASHA):
        def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
            return SchedulerDecision.STOP

        def on_script_end(self, trial: Trial, result: dict[str, Any]) -> str:
            raise AssertionError("asked")

    machine = machine_for("from 1")
    advance = machine.advance

    def ends_with_its_report(attempt: Any) -> None:
        advance(attempt)
        if attempt.end is None:
            attempt.config = {**attempt.config, "max_epochs": 0}
            advance(attempt)

    machine.advance = ends_with_its_report  # type: ignore[method-assign]
    tuner = make_tuner(machine, Stops(SPACE, metric="loss", max_resource_attr="max_epochs", random_seed=1))
    tuner.run()
    assert tuner.status.num_by_status[TrialStatus.completed] == 6
