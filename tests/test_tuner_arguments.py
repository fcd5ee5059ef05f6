"""What arguments of the Tuner change: progress display, intervals, folders, and when a worker counts as free."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.callbacks import ProgressCallback, TunerCallback
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.store import entries
from cloudtune.store.local_store import LocalStore
from cloudtune.trial import Trial, TrialEvent
from cloudtune.tuning_status import TuningStatus
from tests.callbacks.virtual_run import loss, make_tuner
from tests.virtual import Machine, Program, VirtualBackend


class Ear(TunerCallback):
    """A user's callback."""


class OwnProgress(ProgressCallback):
    """A user's progress display."""


@pytest.mark.parametrize("callbacks", [None, [], [Ear()], [Ear(), Ear()]])
def test_the_progress_display_is_added(callbacks: list[TunerCallback] | None) -> None:
    """Who passes callbacks keeps the display, at the interval of the tuner; the caller's list is not touched."""
    given = None if callbacks is None else list(callbacks)
    tuner = make_tuner(callbacks=callbacks, print_update_interval=17.0)
    *others, progress = tuner.callbacks
    assert isinstance(progress, ProgressCallback)
    assert progress.print_update_interval == 17.0
    assert others == (given or [])
    assert callbacks == given


@pytest.mark.parametrize("own", [ProgressCallback(live=False), OwnProgress()])
def test_a_progress_display_of_ones_own_is_the_only_one(own: ProgressCallback) -> None:
    """Also a subclass, wherever it stands in the list."""
    ear = Ear()
    assert make_tuner(callbacks=[own, ear]).callbacks == [own, ear]


@pytest.mark.parametrize("seconds", [10.0, 25.0])
def test_print_update_interval(seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    """In 100 (virtual) seconds without an event a table is logged every so many seconds."""
    caplog.set_level(logging.INFO)
    machine = Machine(Program(loss, seconds=lambda _config: 1000.0))
    made: list[float] = []

    class Clock(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("tuning status"):
                made.append(machine.now - begun)

    begun = machine.now
    logger = logging.getLogger("cloudtune")
    clock = Clock()
    logger.addHandler(clock)
    try:
        criterion = StoppingCriterion(max_wallclock_time=101)
        make_tuner(machine, stop_criterion=criterion, print_update_interval=seconds).run()
    finally:
        logger.removeHandler(clock)
    assert made == pytest.approx([seconds * (i + 1) for i in range(int(100 / seconds))])


@pytest.mark.parametrize(("seconds", "many"), [(0.01, True), (3600.0, False)])
def test_results_update_interval(tmp_path: Path, seconds: float, many: bool) -> None:
    """While trials run, results.csv.zip is renewed again and again, or left as it was at the start."""
    tuner = make_local_tuner(tmp_path, epochs=40, results_update_interval=seconds)
    file = tuner.tuner_path / "results.csv.zip"
    seen: set[int] = set()

    class Look(TunerCallback):
        def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
            seen.add(file.stat().st_mtime_ns if file.exists() else 0)

    tuner.callbacks.insert(0, Look())
    tuner.run()
    assert (len(seen) > 2) is many
    assert file.stat().st_mtime_ns not in seen, "it is renewed once more at the end"


def test_trial_backend_path(tmp_path: Path) -> None:
    """Logs and checkpoints of trials go there; the event log and the results stay with the experiment."""
    elsewhere = tmp_path / "elsewhere"
    tuner = make_local_tuner(tmp_path, trial_backend_path=elsewhere)
    tuner.run()
    assert tuner.status.num_trials_completed == 1
    assert (elsewhere / "trials" / "0").is_dir()
    assert not (tuner.tuner_path / "trials").exists()
    assert any(e["event"] == entries.REPORT for e in LocalStore(tuner.tuner_path).read())
    assert (tuner.tuner_path / "results.csv.zip").exists()


def make_local_tuner(folder: Path, epochs: int = 2, **options: Any) -> Tuner:
    """One trial of a script that reports every twentieth of a second."""
    script = folder / "train.py"
    script.write_text(
        "import time\nfrom cloudtune import Reporter\nreport = Reporter()\n"
        f"for epoch in range(1, {epochs + 1}):\n    report(epoch=epoch, loss=1 / epoch)\n    time.sleep(0.05)\n"
    )
    return Tuner(
        trial_backend=LocalBackend(str(script)),
        scheduler=RandomSearch({"x": uniform(0, 1)}, metric="loss", resource_attr="epoch"),
        stop_criterion=StoppingCriterion(max_num_trials_started=1),
        n_workers=1,
        **options,
    )


class Slow(VirtualBackend):
    """A machine whose trials take their time to end once they were told to: until it has been polled again."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.told: list[int] = []
        self.most = 0

    def stop_trial(self, trial_id: int) -> None:
        self.told.append(trial_id)

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        self.most = max(self.most, self.busy_workers())
        for trial_id in self.told:
            super().stop_trial(trial_id)
        self.told.clear()
        return super().poll(timeout)


@pytest.mark.parametrize(("without_delay", "most"), [(True, 3), (False, 2)])
def test_start_jobs_without_delay(without_delay: bool, most: int) -> None:
    """True: the next trial starts beside the one that was told to stop; False: when that one has ended."""
    machine = Machine(Program(loss, seconds=lambda config: 1.0 + config["x"]))
    tuner = make_tuner(machine, trials=12, start_jobs_without_delay=without_delay)
    tuner.trial_backend = slow = Slow(machine)
    tuner.run()
    assert tuner.status.num_trials_started == 12
    assert any(e.get("decision") == "STOP" for e in machine.log), "ASHA has stopped a trial"
    assert slow.most == most


def test_by_default_the_backend_decides_when_a_worker_is_free() -> None:
    """None takes the backend's own preference."""
    machine = Machine(Program(loss))

    class Hasty(VirtualBackend):
        start_jobs_without_delay = True

    class Patient(VirtualBackend):
        start_jobs_without_delay = False

    for backend in (Hasty, Patient):
        tuner = Tuner(
            backend(machine),
            RandomSearch({"x": uniform(0, 1)}, metric="loss"),
            lambda status: isinstance(status, TuningStatus),
            n_workers=1,
        )
        assert tuner.start_jobs_without_delay is backend.start_jobs_without_delay
