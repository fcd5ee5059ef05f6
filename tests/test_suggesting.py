"""Suggestions that take long are computed beside the loop, which goes on handling events."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.continuing import replay
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.optimizer.searchers.searcher import Searcher
from cloudtune.store import entries
from cloudtune.suggesting import Suggestions
from cloudtune.trial import Config, Trial
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Machine, Program
from tests.virtual_tuner import SPACE, curve, make_tuner, of_kind

LONG = 60.0


class Slow(Searcher):
    """Proposes what its work has returned; counts in memos."""

    def __init__(self, work: Callable[[], float] | None = None) -> None:
        super().__init__(SPACE, points_to_evaluate=[])
        self.value, self.function = 0.5, work
        self.threads: list[str] = []
        self.recalled: list[Any] = []

    def suggest(self) -> Config:
        return {"x": self.value, "max_epochs": 9}

    def work(self) -> Callable[[], Any] | None:
        function = self.function
        if function is None:
            return None

        def compute() -> float:
            self.threads.append(threading.current_thread().name)
            return function()

        return compute

    def take(self, result: Any) -> None:
        self.value = result

    def memo(self) -> dict[str, Any]:
        return {"suggestions": self.num_suggestions}

    def recall(self, memo: Mapping[str, Any]) -> None:
        self.recalled.append(memo["suggestions"])


def scheduler_with(searcher: Searcher) -> TrialScheduler:
    return FIFOScheduler(SPACE, searcher, metric="loss", resource_attr="epoch")


def test_work_is_done_in_another_thread_and_wakes_the_loop() -> None:
    """Not ready until the work is done; then wake is called, and the suggestion is the work's."""
    let_go, woken = threading.Event(), threading.Event()

    def work() -> float:
        assert let_go.wait(LONG)
        return 0.25

    searcher = Slow(work)
    suggestions = Suggestions(scheduler_with(searcher), woken.set, aside=True)
    assert not suggestions.is_ready(7)
    assert not suggestions.is_ready(8)
    assert not woken.is_set()
    let_go.set()
    assert woken.wait(LONG)
    assert suggestions.is_ready(9)
    suggestion = suggestions.next()
    assert suggestion is not None
    assert suggestion.config == {"x": 0.25, "max_epochs": 9}
    assert suggestions.computed_at == 7
    assert searcher.threads != [threading.current_thread().name]
    suggestions.close()


def test_nothing_is_done_aside_where_there_is_no_work_or_no_time() -> None:
    """A quick scheduler is asked at once, and so is a slow one on a virtual clock."""
    for searcher, aside in [(Slow(), True), (Slow(lambda: 0.1), False)]:
        suggestions = Suggestions(scheduler_with(searcher), lambda: None, aside)
        assert suggestions.is_ready(3)
        suggestion = suggestions.next()
        assert suggestion is not None
        assert suggestion.config == {"x": 0.5, "max_epochs": 9}
        assert suggestions.computed_at == 3
        assert not searcher.threads
        suggestions.close()


def test_an_error_of_the_work_is_raised_where_the_suggestion_is_taken() -> None:
    """In the thread of the loop; the next suggestion is computed anew."""
    answers: list[Any] = [ZeroDivisionError("no model"), 0.75]

    def work() -> float:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return float(answer)

    woken = threading.Semaphore(0)
    suggestions = Suggestions(scheduler_with(Slow(work)), woken.release, aside=True)
    suggestions.is_ready(0)
    assert woken.acquire(timeout=LONG)
    with pytest.raises(ZeroDivisionError, match="no model"):
        suggestions.next()
    suggestions.is_ready(0)
    assert woken.acquire(timeout=LONG)
    suggestion = suggestions.next()
    assert suggestion is not None
    assert suggestion.config is not None
    assert suggestion.config["x"] == 0.75
    suggestions.close()


def test_what_is_abandoned_wakes_nobody_and_its_error_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A backend that was closed is not woken; work that has failed for nothing leaves a line in the log."""
    let_go = threading.Event()

    def work() -> float:
        assert let_go.wait(LONG)
        raise ZeroDivisionError("no model")

    woken = threading.Event()
    suggestions = Suggestions(scheduler_with(Slow(work)), woken.set, aside=True)
    assert not suggestions.is_ready(0)
    suggestions.abandon()
    let_go.set()
    with caplog.at_level(logging.WARNING):
        suggestions.close()
    assert not woken.is_set()
    assert "no model" in caplog.text


class _Tells(TunerCallback):
    """Lets something go at the third report."""

    def __init__(self, event: threading.Event) -> None:
        self.event, self.count = event, 0

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self.count += 1
        if self.count == 3:
            self.event.set()


def test_events_are_handled_while_a_suggestion_is_computed() -> None:
    """The second suggestion needs three reports of the first trial: it would wait for ever if the loop waited too."""
    third = threading.Event()
    works: Iterator[Callable[[], float]] = iter([lambda: 0.1, *[lambda: 0.2 if third.wait(LONG) else 0.9] * 9])
    machine = Machine(Program(curve))

    def work() -> float:
        return next(works)()

    make_tuner(machine, scheduler_with(Slow(work)), callbacks=[_Tells(third)]).run()
    suggested = of_kind(machine, entries.SUGGEST)
    assert [entry["config"]["x"] for entry in suggested] == [0.1, 0.2, 0.2, 0.2, 0.2, 0.2]
    events = [(entry["event"], entry["trial"]) for entry in machine.log if "trial" in entry]
    assert events.index((entries.SUGGEST, 1)) >= 4  # after the suggestion and three reports of trial 0
    assert suggested[1]["computed_at"] <= machine.log.index(suggested[1]) - 3


def test_memos_are_logged_and_told_again() -> None:
    """An experiment that continues tells its searcher the memo of each suggestion, in order."""
    machine = Machine(Program(curve))
    make_tuner(machine, scheduler_with(Slow())).run()
    assert [entry["memo"] for entry in of_kind(machine, entries.SUGGEST)] == [{"suggestions": n} for n in range(1, 7)]
    searcher = Slow()
    replay(machine.log, TuningStatus("loss", resource_attr="epoch"), scheduler_with(searcher))
    assert searcher.recalled == [1, 2, 3, 4, 5, 6]


class _Expendable(FIFOScheduler):
    """Pauses every trial at level 2, never resumes one, and gives up the checkpoint of each when it has paused."""

    def __init__(self) -> None:
        super().__init__(SPACE, "random", metric="loss", resource_attr="epoch", random_seed=1)
        self.given_up: list[int] = []

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        return "PAUSE" if result["epoch"] >= 2 else "CONTINUE"

    def on_trial_remove(self, trial: Trial) -> None:
        self.given_up.append(trial.trial_id)

    def expendable_checkpoints(self) -> list[int]:
        told, self.given_up = self.given_up, []
        return told


@pytest.mark.parametrize("deletes", [True, False])
def test_expendable_checkpoints_are_deleted_where_checkpoints_are_deleted(
    deletes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of paused trials, once each; none where the backend keeps checkpoints."""
    machine = Machine(Program(curve))
    tuner = make_tuner(machine, _Expendable())
    deleted: list[int] = []
    monkeypatch.setattr(tuner.trial_backend, "delete_checkpoints", deletes)
    monkeypatch.setattr(tuner.trial_backend, "delete_checkpoint", deleted.append)
    tuner.run()
    assert deleted == (list(range(6)) if deletes else [])


def test_a_suggestion_carries_its_memo() -> None:
    """``start_suggestion`` takes one; a resumed trial has none."""
    assert TrialSuggestion.start_suggestion({}, memo={"a": 1}).memo == {"a": 1}
    assert TrialSuggestion.resume_suggestion(3).memo is None
