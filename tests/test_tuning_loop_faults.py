"""The loop when something breaks: a full disk, a callback, a tuner that dies between two steps; what is kept then."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.errors import ExperimentMismatch, StorageFull
from cloudtune.optimizer.baselines import ASHA
from cloudtune.optimizer.scheduler import TrialSuggestion
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.trial import Trial
from tests.virtual import Killed, Machine, MemoryStore, Program, VirtualBackend
from tests.virtual_tuner import SPACE, PausesAtTwo, curve, make_tuner, of_kind, run_with_metrics


def test_a_full_disk_loses_nothing_of_what_was_taken_in() -> None:
    """An append that fails ends the run; the log has everything up to then, and a fresh tuner continues it."""
    machine = Machine(Program(curve))

    class FullDisk(MemoryStore):
        appends = 0

        def append(self, entries: Any) -> None:
            FullDisk.appends += 1
            if FullDisk.appends in (8, 9):
                raise StorageFull("no room")
            super().append(entries)

    tuner = make_tuner(machine)
    tuner._store = FullDisk(machine)
    with pytest.raises(StorageFull):
        tuner.run()
    with pytest.raises(ExperimentMismatch, match="ended before its log could be written"):
        tuner.run()
    again = make_tuner(machine)
    again.run()
    assert again.status.num_trials_completed == 6
    assert len(of_kind(machine, entries.SUGGEST)) == 6


def test_an_append_that_fails_once_is_made_up_for() -> None:
    """If there is room again when the tuner ends, what it had taken in is in the log, and the same object continues."""
    machine = Machine(Program(curve))

    class FullOnce(MemoryStore):
        appends = 0

        def append(self, entries: Any) -> None:
            FullOnce.appends += 1
            if FullOnce.appends == 8:
                raise StorageFull("no room")
            super().append(entries)

    tuner = make_tuner(machine)
    tuner._store = FullOnce(machine)
    with pytest.raises(StorageFull):
        tuner.run()
    tuner.run()
    assert tuner.status.num_trials_completed == 6
    keys = [(r["trial"], r["attempt"], r["number"]) for r in of_kind(machine, entries.REPORT)]
    assert len(keys) == len(set(keys))
    assert [e["trial"] for e in of_kind(machine, entries.SUGGEST)] == list(range(6))


class Deleting(VirtualBackend):
    """Notes which checkpoints are deleted, and how the trials stood in the log then."""

    delete_checkpoints = True

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.deleted: list[int] = []

    def delete_checkpoint(self, trial_id: int) -> None:
        ends = [e for e in of_kind(self.machine, entries.END) if e["trial"] == trial_id]
        assert ends[-1]["status"] in ("Completed", "Stopped", "Failed"), "it may run again"
        self.deleted.append(trial_id)
        super().delete_checkpoint(trial_id)


@pytest.mark.parametrize("how", ["stopping", "promotion"])
def test_checkpoints_of_trials_that_go_on_are_kept(how: str) -> None:
    """delete_checkpoints deletes when a trial has completed, was stopped or failed; not when it is paused."""
    machine = Machine(Program(curve))
    scheduler = ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=how, random_seed=1
    )
    tuner = make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=20))
    backend = tuner.trial_backend = Deleting(machine)
    tuner.run()
    assert sorted(backend.deleted) == [r.trial.trial_id for r in tuner.status.records.values() if r.status.is_finished]
    assert backend.deleted


def test_checkpoints_survive_the_end_of_the_tuner() -> None:
    """Trials cut by the wall-clock limit keep their checkpoints and go on where they were."""
    machine = Machine(Program(curve, seconds=lambda _c: 100.0))
    tuner = make_tuner(machine, stop_criterion=StoppingCriterion(max_wallclock_time=250))
    tuner.trial_backend = Deleting(machine)
    tuner.run()
    tuner.stop_criterion = StoppingCriterion(max_num_trials_completed=2)
    tuner.run()
    for trial in (0, 1):
        levels = [r["metrics"]["epoch"] for r in of_kind(machine, entries.REPORT) if r["trial"] == trial]
        assert levels == list(range(1, 10))


def test_an_integer_beyond_all_floats_is_kept_and_ranks_last() -> None:
    """10**400 as the metric is legal JSON: no crash, now or when the experiment is continued."""
    tuner, machine = run_with_metrics(lambda report: report.update(loss=10**400) if report["epoch"] == 3 else None)
    assert tuner.status.num_trials_failed == 0
    again = make_tuner(machine, stop_criterion=StoppingCriterion(max_num_trials_started=7))
    again.run()
    assert again.status.incumbent is not None
    assert again.status.incumbent[2] != 3


def test_a_copied_checkpoint_is_copied_again_if_the_tuner_died_before() -> None:
    """A trial that begins from another's checkpoint does so too when it was logged but never started."""

    class FromTheFirst(PausesAtTwo):
        def _suggest(self) -> TrialSuggestion:
            source = 0 if self.num_suggestions == 1 else None
            return TrialSuggestion.start_suggestion({"x": 0.1, "max_epochs": 9}, checkpoint_trial_id=source)

        def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
            return "CONTINUE"

    machine = Machine(Program(curve))

    class Dies(VirtualBackend):
        def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
            if checkpoint_trial_id is not None:
                raise Killed
            super().start_trial(trial, checkpoint_trial_id)

    tuner = make_tuner(machine, FromTheFirst(), n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_started=2))
    tuner.trial_backend = Dies(machine)
    with pytest.raises(Killed):
        tuner.run()
    machine.tuner_died()
    machine.checkpoints[0] = 4
    make_tuner(machine, FromTheFirst(), n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_started=2)).run()
    second = [r["metrics"]["epoch"] for r in of_kind(machine, entries.REPORT) if r["trial"] == 1]
    assert second == [5, 6, 7, 8, 9]


def test_reports_without_the_metric_are_replays_too() -> None:
    """A trial that starts over repeats levels, also those it reported without the metric: they count once."""
    machine = Machine(Program(curve, keeps_checkpoints=False, seconds=lambda _c: 100.0))
    advance = machine.advance

    def every_third(attempt: Any) -> None:
        advance(attempt)
        for report in attempt.reports:
            if report["epoch"] % 3:
                report.pop("loss", None)

    machine.advance = every_third  # type: ignore[method-assign]
    tuner = make_tuner(machine, n_workers=1, stop_criterion=StoppingCriterion(max_wallclock_time=550))
    tuner.run()
    tuner.stop_criterion = StoppingCriterion(max_num_trials_completed=1)
    tuner.run()
    counted = [
        r["metrics"]["epoch"]
        for r in of_kind(machine, entries.REPORT)
        if r["trial"] == 0 and not r.get("replay") and not r.get("late")
    ]
    assert counted == list(range(1, 10))


@pytest.mark.defect("R2")
@pytest.mark.parametrize(
    "methods",
    [
        ["on_trial_result"],
        ["on_tuning_start"],
        ["on_tuning_end"],
        ["on_trial_end"],
        ["on_trial_result", "on_tuning_end"],
    ],
)
def test_a_callback_that_raises_leaves_nothing_running(methods: list[str]) -> None:
    """Trials are stopped first, what was received is in the log, then the callback's own error is raised."""

    def boom(*_args: Any) -> None:
        raise RuntimeError("callback broke")

    broken = type("Broken", (TunerCallback,), dict.fromkeys(methods, boom))()
    machine = Machine(Program(curve))
    tuner = make_tuner(machine, callbacks=[broken])
    ended: list[str] = []
    close = tuner.trial_backend.close

    def closing(stop_running: bool) -> None:
        ended.append("closed")
        close(stop_running)

    tuner.trial_backend.close = closing  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="callback broke"):
        tuner.run()
    assert ended == ["closed"]
    assert not machine.running()
    received = sum(a.delivered for a in machine.attempts.values())
    assert len(of_kind(machine, entries.REPORT)) == received
    assert machine.owner is None
