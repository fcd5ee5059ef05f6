"""What becomes of an experiment's own time while it waits for its study's money."""

from __future__ import annotations

import math

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.studies.ledger import micros
from cloudtune.studies.purse import Purse
from cloudtune.studies.shared_budget import SharedBudget
from cloudtune.tuner import Tuner
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Machine, Program, Terms
from tests.virtual_tuner import curve, make_tuner, of_kind

#: Of the experiment, in seconds; a trial takes ten of them.
TIME = 60.0
#: What a trial may cost at most, in dollars. It costs a tenth.
ONE = 100.0


class Rich(TunerCallback):
    """Fills the purse for one trial at first, and with all that is wanted a while later.

    Args:
        purse: Of the tuner.
        after: Seconds.
    """

    def __init__(self, purse: Purse, after: float) -> None:
        self._purse = purse
        self._after = after
        self._at: float | None = None

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._purse.begin(tuner.n_workers)
        self._purse.fill(micros(ONE))
        if self._after < math.inf:
            self._at = tuner.trial_backend.time() + self._after

    def next_time(self) -> float | None:
        return self._at

    def on_time(self, now: float, status: TuningStatus) -> None:
        self._purse.fill(micros(100 * ONE))
        self._at = None


def a_machine() -> Machine:
    return Machine(Program(curve, seconds=lambda config: 10.0 / (config["max_epochs"] + 1)), Terms(1.0, ONE))


def tune(machine: Machine, rich_after: float) -> Tuner:
    """Tunes on one worker, and returns when the tuner has ended."""
    purse = Purse()
    tuner = make_tuner(
        machine,
        n_workers=1,
        stop_criterion=SharedBudget(StoppingCriterion(max_wallclock_time=TIME), purse),
        callbacks=[Rich(purse, rich_after)],
    )
    tuner.run()
    return tuner


def test_waiting_is_no_tuning() -> None:
    """Money comes long after the experiment would have been over: it has all its time then, and has finished."""
    machine = a_machine()
    began = machine.now
    tuner = tune(machine, rich_after=1000.0)
    (finish,) = of_kind(machine, entries.FINISH)
    assert (finish["state"], finish["time"]) == (entries.FINISHED, pytest.approx(TIME))
    assert machine.now - began == pytest.approx(1000.0 + TIME - 10.0, abs=0.01)
    assert max(entry["time"] for entry in machine.log if "time" in entry) == pytest.approx(TIME)
    assert tuner.status.num_trials_completed >= 5


def test_money_that_does_not_come_in_time() -> None:
    """The tuner cannot wait for ever: what it leaves is unfinished, and the next one has the rest of the time."""
    machine = a_machine()
    tune(machine, rich_after=math.inf)
    (left,) = of_kind(machine, entries.FINISH)
    assert (left["state"], left["time"]) == (entries.INTERRUPTED, pytest.approx(10.0))
    assert "waited too long for the study's money" in left["why"]
    tuner = tune(machine, rich_after=0.0)
    assert of_kind(machine, entries.FINISH)[-1]["state"] == entries.FINISHED
    assert tuner.status.wallclock_time == pytest.approx(TIME)
    assert tuner.status.num_trials_completed >= 5


def test_trials_that_run_when_the_job_has_no_more_time() -> None:
    """They go on with the next tuner; without a wait there is nothing to make up for."""
    machine = a_machine()
    tune(machine, rich_after=1790.0 + TIME)
    (left,) = of_kind(machine, entries.FINISH)
    assert left["state"] == entries.INTERRUPTED
    assert 10.0 < left["time"] < TIME
    tune(machine, rich_after=0.0)
    assert of_kind(machine, entries.FINISH)[-1]["state"] == entries.FINISHED


def test_while_a_trial_runs_time_passes() -> None:
    """A free worker that lacks money beside one at work is no standstill."""
    machine = a_machine()
    machine.program = Program(curve, seconds=lambda _config: 1000.0)
    purse = Purse()
    tuner = make_tuner(
        machine,
        n_workers=2,
        stop_criterion=SharedBudget(StoppingCriterion(max_wallclock_time=TIME), purse),
        callbacks=[Rich(purse, math.inf)],
    )
    tuner.run()
    assert (tuner.status.num_trials_started, tuner.status.waited_time) == (1, 0.0)
    assert of_kind(machine, entries.FINISH)[-1]["state"] == entries.FINISHED
