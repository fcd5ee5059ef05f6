"""Reports that come after a decision to pause: they count once the trial has gone on from beyond them, once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.store.results import read_results
from cloudtune.trial import Trial
from cloudtune.trial_record import TrialRecord
from cloudtune.tuner import Tuner
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Killed, Machine, Program, VirtualBackend
from tests.virtual_tuner import curve, make_tuner

LEVELS = 9


class SlowToPause(VirtualBackend):
    """Its trials go on for a while after they were told to pause.

    Args:
        machine: Where they run.
        more: So many reports they still make.
        behind: Their checkpoint is so many levels behind their last report.
    """

    def __init__(self, machine: Machine, more: int, behind: int) -> None:
        super().__init__(machine)
        self.more = more
        self.behind = behind

    def pause_trial(self, trial_id: int) -> None:
        attempt = self.mine.get(trial_id)
        for _ in range(self.more):
            if attempt is not None and attempt.end is None:
                self.machine.advance(attempt)
        super().pause_trial(trial_id)
        self.machine.checkpoints[trial_id] = max(0, self.machine.checkpoints.get(trial_id, 0) - self.behind)


class Watched(ASHA):
    """ASHA by promotion that remembers which levels it was told of."""

    def __init__(self, rungs: tuple[int, ...] = (2, 4)) -> None:
        super().__init__(
            {"x": uniform(0, 1)}, metric="loss", max_t=LEVELS, rung_levels=rungs, type="promotion", random_seed=5
        )
        self.told: dict[int, list[int]] = defaultdict(list)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        self.told[trial.trial_id].append(result["epoch"])
        return super().on_trial_result(trial, result)


def _tuner(machine: Machine, more: int, behind: int, rungs: tuple[int, ...] = (2, 4)) -> Tuner:
    criterion = StoppingCriterion(max_num_trials_completed=2, max_wallclock_time=150)
    tuner = make_tuner(machine, Watched(rungs), stop_criterion=criterion, max_failures=99)
    tuner.trial_backend = SlowToPause(machine, more, behind)
    return tuner


def _counting(machine: Machine) -> dict[int, list[int]]:
    """Levels of each trial that count, in the order in which they came to."""
    levels: dict[int, list[int]] = defaultdict(list)
    for entry in machine.log:
        counts = entry["event"] == entries.COUNTED or (
            entry["event"] == entries.REPORT and not entry.get("late") and not entry.get("replay")
        )
        if counts:
            levels[entry["trial"]].append(entry["metrics"]["epoch"])
    return levels


def _described(record: TrialRecord) -> dict[str, Any]:
    parts = {name: getattr(record, name) for name in TrialRecord.__slots__ if name not in ("trial", "attempt_time")}
    return {**parts, "config": record.trial.config, "attempt": record.trial.attempt}


def test_epochs_that_the_checkpoint_has_are_not_lost() -> None:
    """Three reports after the pause at 2; the resumed trial goes on from 6: 3 to 5 count, and 4 is a rung as any."""
    machine = Machine(Program(curve, levels=LEVELS))
    tuner = _tuner(machine, more=3, behind=0)
    tuner.run()
    counted = [e for e in machine.log if e["event"] == entries.COUNTED]
    done = [trial for trial, record in tuner.status.records.items() if record.status.value == "Completed"]
    assert counted
    assert len(done) == 2
    for trial in done:
        assert _counting(machine)[trial] == list(range(1, LEVELS + 1))
    assert "PAUSE" in [entry["decision"] for entry in counted if entry["metrics"]["epoch"] == 4]


def test_a_trial_that_has_nothing_left_to_report() -> None:
    """Its script had reached the last epoch before it heard of the pause: resumed it just ends, and nothing is lost."""
    machine = Machine(Program(curve, levels=LEVELS))
    tuner = _tuner(machine, more=LEVELS - 2, behind=0, rungs=(2,))
    tuner.run()
    done = [trial for trial, record in tuner.status.records.items() if record.status.value == "Completed"]
    assert len(done) == 2
    for trial in done:
        assert _counting(machine)[trial] == list(range(1, LEVELS + 1))
        assert tuner.status.records[trial].last_result["epoch"] == LEVELS


def test_epochs_that_come_again_count_as_they_come() -> None:
    """The checkpoint is older than the late reports: nothing of them is counted beforehand."""
    machine = Machine(Program(curve, levels=LEVELS))
    _tuner(machine, more=2, behind=2).run()
    assert [e for e in machine.log if e.get("late")]
    assert [e for e in machine.log if e["event"] == entries.COUNTED] == []


@given(st.integers(0, LEVELS), st.integers(0, LEVELS), st.lists(st.integers(1, 60), max_size=4))
def test_every_epoch_counts_once_and_in_order(more: int, behind: int, gaps: list[int]) -> None:
    """Whatever pauses come to, and however often the tuner is killed: for results, scheduler and status."""
    machine = Machine(Program(curve, levels=LEVELS))
    for gap in gaps:
        machine.fuse = machine.steps + gap
        try:
            _tuner(machine, more, behind).run()
            break
        except Killed:
            machine.tuner_died()
    machine.fuse = None
    tuner = _tuner(machine, more, behind)
    tuner.run()
    counting = _counting(machine)
    for trial, record in tuner.status.records.items():
        levels = counting.get(trial, [])
        assert levels == list(range(1, len(levels) + 1))
        if record.status.value == "Completed":
            assert len(levels) == LEVELS
    assert isinstance(tuner.scheduler, Watched)
    assert {trial: levels for trial, levels in tuner.scheduler.told.items() if levels} == counting

    table = read_results([machine.log])
    rows = list(zip(table.columns["trial_id"], table.columns["epoch"], strict=True))
    assert len(rows) == len(set(rows)) == sum(map(len, counting.values()))

    again = TuningStatus("loss", "min", resource_attr="epoch")
    for entry in machine.log:
        again.apply(entry)
    assert {t: _described(r) for t, r in again.records.items()} == {
        t: _described(r) for t, r in tuner.status.records.items()
    }


@pytest.mark.parametrize("decision", ["STOP", "PAUSE"])
def test_a_decision_about_a_late_report_is_obeyed(decision: str) -> None:
    """What the resumed trial reports meanwhile is kept as after any such decision."""

    class AtFour(Watched):
        def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
            said = super().on_trial_result(trial, result)
            return decision if result["epoch"] == 4 else said

    machine = Machine(Program(curve, levels=LEVELS))
    tuner = _tuner(machine, more=3, behind=0, rungs=(2,))
    tuner.scheduler = AtFour((2,))
    tuner.stop_criterion = StoppingCriterion(max_wallclock_time=60)
    tuner.run()
    at_four = [n for n, e in enumerate(machine.log) if e["event"] == entries.COUNTED and e["metrics"]["epoch"] == 4]
    assert at_four
    for number in at_four:
        trial = machine.log[number]["trial"]
        following = [e for e in machine.log[number + 1 :] if e.get("trial") == trial]
        marks = ["extra" in e or "late" in e for e in following if e["event"] == entries.REPORT]
        ends = [e["status"] for e in following if e["event"] == entries.END]
        assert marks[:1] == [True]
        assert ends[:1] == [{"STOP": "Stopped", "PAUSE": "Paused"}[decision]] or not ends
