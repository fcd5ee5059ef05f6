"""A tuner whose process is ended by force some time after SIGTERM: it ends in order before, whatever its trials do."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.config_space import uniform
from cloudtune.errors import StorageFull
from cloudtune.interruption import SignalWatch, TuningInterrupted
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.store import entries
from cloudtune.store.store import Entry
from cloudtune.trial import Outcome
from tests.virtual import Machine, MemoryStore, Program, VirtualBackend
from tests.virtual_machine import Terms
from tests.virtual_tuner import curve, make_tuner, of_kind


class Deaf(VirtualBackend):
    """Its trials go on whatever they are told."""

    def __init__(self, machine: Machine, outlive: bool) -> None:
        super().__init__(machine)
        self.trials_outlive_tuner = outlive
        self.hastened: list[float] = []
        self.closed: list[bool] = []

    def _end(self, trial_id: int, outcome: Outcome) -> None:
        pass

    def hasten(self, seconds: float) -> None:
        self.hastened.append(seconds)

    def close(self, stop_running: bool) -> None:
        self.closed.append(stop_running)
        super().close(stop_running)


class Terminated(TunerCallback):
    """Sends SIGTERM at the third report."""

    def __init__(self) -> None:
        self.seen = 0

    def on_trial_result(self, *_: Any) -> None:
        self.seen += 1
        if self.seen == 3:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("outlive", [True, False])
def test_trials_that_do_not_end_in_time(outlive: bool) -> None:
    """They are hastened once, and left if they can live on; the log says interrupted, and that they have no end yet."""
    machine = Machine(Program(curve, levels=1_000_000))
    tuner = make_tuner(machine, RandomSearch({"x": uniform(0, 1)}, metric="loss"), callbacks=[Terminated()])
    backend = tuner.trial_backend = Deaf(machine, outlive)
    tuner.time_to_end = 0.2
    with pytest.raises(TuningInterrupted):
        tuner.run()
    (seconds,) = backend.hastened
    assert 0 < seconds <= 0.2
    assert backend.closed == [not outlive]
    assert of_kind(machine, entries.FINISH)[-1]["state"] == entries.INTERRUPTED
    assert not of_kind(machine, entries.END)


def test_trials_that_end_in_time() -> None:
    """Nothing is left: the tuner ends as it does where nobody waits for it."""
    machine = Machine(Program(curve, levels=1_000_000))
    tuner = make_tuner(machine, RandomSearch({"x": uniform(0, 1)}, metric="loss"), callbacks=[Terminated()])
    tuner.time_to_end = 60.0
    with pytest.raises(TuningInterrupted):
        tuner.run()
    assert len(of_kind(machine, entries.END)) == 2


class Unwritable(MemoryStore):
    """Takes nothing in any more once its tuner was told to end; says how long that may wait."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.time_left: Callable[[], float] = lambda: math.inf

    def end_by(self, time_left: Callable[[], float]) -> None:
        self.time_left = time_left

    def append(self, entries: Sequence[Entry]) -> None:
        if self.time_left() < math.inf:
            raise StorageFull("the log cannot grow; make room")
        super().append(entries)

    def close(self) -> None:
        super().close()
        raise StorageFull("1 entry is not in the log; make room")


@pytest.mark.parametrize("leaves", [True, False])
def test_a_log_that_cannot_be_written_at_the_end(leaves: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Trials that are to end are told so, others go on; the error says what is missing, a warning where it is."""
    machine = Machine(Program(curve, levels=1_000_000))
    tuner = make_tuner(machine, RandomSearch({"x": uniform(0, 1)}, metric="loss"), callbacks=[Terminated()])
    backend = tuner.trial_backend = Deaf(machine, outlive=True)
    tuner.keep_in(Unwritable(machine))
    tuner.time_to_end = 60.0
    tuner.decide_leaving = lambda: leaves
    with pytest.raises(StorageFull, match="1 entry is not in the log"):
        tuner.run()
    assert backend.closed == [not leaves]
    assert [0 < seconds <= 60.0 for seconds in backend.hastened] == ([] if leaves else [True])
    assert f"still lies in {tuner.tuner_path} on this machine: whoever continues" in caplog.text


@pytest.mark.parametrize("when", ["before", "while it is opened"])
def test_a_signal_before_the_first_turn(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes while the log of an earlier run is read, or earlier: trials left running end, and the log is whole."""
    machine = Machine(Program(curve, levels=1_000_000), Terms(outlives=True))
    first = make_tuner(machine, callbacks=[Terminated()])
    first.decide_leaving = lambda: True
    with pytest.raises(TuningInterrupted):
        first.run()
    assert (len(machine.running()), of_kind(machine, entries.END)) == (2, [])
    reports = len(of_kind(machine, entries.REPORT))
    open_store = MemoryStore.open

    def interrupted(store: MemoryStore, takeover: bool = False) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        open_store(store, takeover)

    tuner = make_tuner(machine)
    with SignalWatch() as signals, pytest.raises(TuningInterrupted):
        if when == "before":
            tuner.signals = signals
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            monkeypatch.setattr(MemoryStore, "open", interrupted)
        tuner.run()
    assert (len(machine.running()), len(of_kind(machine, entries.END))) == (0, 2)
    assert [entry["state"] for entry in of_kind(machine, entries.FINISH)] == [entries.INTERRUPTED] * 2
    assert len(of_kind(machine, entries.SUGGEST)) == 2
    assert len(of_kind(machine, entries.REPORT)) <= reports + 2


def test_the_time_runs_from_the_first_signal() -> None:
    """Before it, and where there is no limit, there is all the time."""
    with SignalWatch(lambda _name: None, "name") as watch:
        assert watch.time_left(10.0) == math.inf
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.time_left(None) == math.inf
        first = watch.time_left(10.0)
        assert began + 10.0 <= first + time.monotonic() <= time.monotonic() + 10.0
        assert watch.time_left(10.0) <= first
