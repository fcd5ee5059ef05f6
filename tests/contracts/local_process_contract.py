"""What backends of local processes promise beyond the contract of all: no process, folder or descriptor is left."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.backend.trial_backend import LeftRunning
from cloudtune.trial import Outcome, Trial
from tests.contracts.backend_contract import BackendContract
from tests.contracts.backend_driver import PATIENCE, Driver


def gone(pid: int) -> bool:
    """Whether a process has ended (it may still wait to be waited for)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(happened: Callable[[], bool]) -> None:
    """Returns when it is true, without having a tuner poll."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_gone(pid: int) -> None:
    """Returns when a process has ended."""
    wait_until(lambda: gone(pid))


def open_descriptors() -> int:
    """Number of file descriptors of this process, once what earlier tests have left to the collector is closed."""
    gc.collect()
    return psutil.Process().num_fds()


def carriers(marker: str) -> list[int]:
    """Processes with the experiment's marker in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CLOUDTUNE_EXPERIMENT") == marker:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


class LocalProcessContract(BackendContract):
    """The promises of backends whose trials are children of a supervisor of ours."""

    def before(self) -> Any:
        return open_descriptors(), threading.active_count(), psutil.Process().children()

    def check_nothing_left(self, driver: Driver, before: Any) -> None:
        assert carriers(driver.place.marker) == []
        assert (open_descriptors(), threading.active_count()) == before[:2]
        assert psutil.Process().children() == before[2]
        assert not [name for name in os.listdir(driver.place.path) if name.endswith("fifo")]

    def check_nothing_runs(self, driver: Driver) -> None:
        assert carriers(driver.place.marker) == []

    def wait_until_over(self, driver: Driver, trial_id: int) -> None:
        end_file = driver.place.path / "trials" / str(trial_id) / "end-0.json"
        wait_until(end_file.exists)

    @pytest.mark.defect("R10")
    def test_stopped_against_its_will(self, tmp_path: Path) -> None:
        """A trial that ignores SIGTERM, and the child it has forked, are killed after the grace period."""
        with self.driving(tmp_path, stop_grace=0.2) as driver:
            driver.open()
            driver.start(0, reports=1, hold=True, ignore_sigterm=True, child=str(tmp_path / "pid"))
            driver.wait_for_reports(0, 1)
            driver.backend.stop_trial(0)
            assert driver.end_of(0).outcome is Outcome.stopped
            wait_until_gone(int((tmp_path / "pid").read_text()))

    def test_ended_before_the_stop_was_seen(self, driver: Driver) -> None:
        """Nor is a trial stopped that had ended when the request was still on its way."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        trial = psutil.Process(driver.reports(0)[0].metrics["pid"])
        supervisor = trial.parent()
        assert supervisor is not None
        supervisor.suspend()
        trial.kill()
        wait_until_gone(trial.pid)
        driver.backend.stop_trial(0)
        supervisor.resume()
        assert driver.end_of(0).outcome is Outcome.failed

    def test_what_is_deleted_is_gone_from_the_disk(self, tmp_path: Path) -> None:
        """However an attempt ends, what its trial saved lies in its folder until the tuner has it deleted."""
        with self.driving(tmp_path, delete_checkpoints=True) as driver:
            driver.open()
            configs: list[dict[str, Any]] = [{"hold": True}, {"hold": True}, {"exit_code": 1}, {}]
            for trial_id, config in enumerate(configs):
                driver.start(trial_id, save="x", reports=1, **config)
                driver.wait_for_reports(trial_id, 1)
            driver.backend.pause_trial(0)
            driver.backend.stop_trial(1)
            outcomes = [driver.end_of(trial_id).outcome for trial_id in range(4)]
            states = [tmp_path / "trials" / str(trial_id) / "checkpoints" / "state" for trial_id in range(4)]
            assert outcomes == [Outcome.paused, Outcome.stopped, Outcome.failed, Outcome.completed]
            assert all(state.exists() for state in states)
            for trial_id in (1, 2, 3, 3, 99):  # twice, and one that never was: harmless
                driver.backend.delete_checkpoint(trial_id)
            assert [state.exists() for state in states] == [True, False, False, False]

    @pytest.mark.parametrize("name", ["pid", "pid-nameless"])
    def test_what_a_trial_leaves_behind_ends_with_it(self, driver: Driver, tmp_path: Path, name: str) -> None:
        """A descendant that has moved to another session, even with an empty environment, ends with its trial."""
        file = tmp_path / name
        driver.start(0, reports=1, hold=True, daemon=str(file))
        driver.wait_for_reports(0, 1)
        pid = int(file.read_text())
        assert not gone(pid)
        driver.backend.stop_trial(0)
        driver.end_of(0)
        wait_until_gone(pid)

    def test_a_running_trial_keeps_its_daemon(self, driver: Driver, tmp_path: Path) -> None:
        """The end of one trial does not touch what another has sent away."""
        driver.start(0, reports=1, hold=True, daemon=str(tmp_path / "pid"))
        driver.wait_for_reports(0, 1)
        driver.start(1, reports=1)
        driver.end_of(1)
        driver.start(2, reports=1)  # the supervisor has looked at what the first end left
        driver.end_of(2)
        assert not gone(int((tmp_path / "pid").read_text()))

    def test_lines_that_are_no_reports(self, driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
        """Garbage in the report file is skipped, told once with the file's name, and not counted."""
        driver.start(0, garbage='rubbish\n[1]\n{"torn":\n', reports=2)
        driver.end_of(0)
        assert [report.number for report in driver.reports(0)] == [0, 1]
        warnings = [record.getMessage() for record in caplog.records if "not a report" in record.getMessage()]
        assert len(warnings) == 1
        assert "reports-0.jsonl" in warnings[0]

    def end_by_a_signal(self, driver: Driver, trial_id: int) -> None:
        supervisor = psutil.Process(driver.reports(trial_id)[0].metrics["pid"]).parent()
        assert supervisor is not None
        supervisor.terminate()
        assert driver.end_of(trial_id).outcome is Outcome.interrupted

    def test_relative_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a relative folder trials report and wake the tuner, whatever directory they, or the tuner, go to."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(tmp_path)
        with self.driving(Path("experiment")) as driver:
            driver.open()
            driver.start(0, goes_to=str(elsewhere), reports=1, save="one,", hold=True)
            driver.wait_for_reports(0, 1)
            monkeypatch.chdir(elsewhere)
            self.kill_supervisor(driver)
            driver.end_of(0)
            driver.backend.resume_trial(Trial(0, {"goes_to": "/", "reports": 1, "save": "two,", "hold": True}, 1))
            driver.wait_for_reports(0, 2)
            assert driver.reports(0)[1].metrics["found"] == "one,"
        assert list(elsewhere.iterdir()) == []
        assert not list((tmp_path / "experiment").glob("*.fifo"))

    def test_closing_ends_everything(self, driver: Driver) -> None:
        """close() returns when trials, their descendants and our processes are gone; then it may be opened again."""
        tmp_path = driver.place.path.parent
        driver.start(0, hold=True, reports=1, daemon=str(tmp_path / "a"))
        driver.start(1, hold=True, reports=1, child=str(tmp_path / "b"))
        driver.wait_for_reports(0, 1)
        driver.wait_for_reports(1, 1)
        driver.backend.close(stop_running=False)
        assert carriers(driver.place.marker) == []
        assert all(gone(int((tmp_path / name).read_text())) for name in "ab")
        driver.backend.wake()
        driver.backend.close(stop_running=True)
        self.check_after_reopening(driver)

    def test_the_supervisor_is_killed(self, driver: Driver, tmp_path: Path) -> None:
        """Then running trials end as interrupted with all their reports, nothing of them lives on, and work goes on."""
        driver.start(0, reports=3, hold=True, daemon=str(tmp_path / "pid"))
        driver.wait_for_reports(0, 1)
        report_file = driver.place.path / "trials" / "0" / "reports-0.jsonl"
        # The trial has sent all, whether the tuner has read it or not.
        wait_until(lambda: report_file.read_text().count("\n") == 3)
        self.kill_supervisor(driver)
        assert driver.end_of(0).outcome is Outcome.interrupted
        assert [report.number for report in driver.reports(0)] == [0, 1, 2]
        wait_until_gone(int((tmp_path / "pid").read_text()))
        driver.backend.resume_trial(Trial(0, {"reports": 1}, attempt=1))
        assert driver.end_of(0, attempt=1).outcome is Outcome.completed

    def kill_supervisor(self, driver: Driver) -> None:
        """Kills the process that trials are children of."""
        trial = driver.reports(0)[-1].metrics["pid"]
        parent = psutil.Process(trial).parent()
        assert parent is not None
        assert parent.pid != os.getpid()
        parent.kill()

    @pytest.mark.defect("R1")
    @pytest.mark.defect("R3")
    def test_the_tuner_is_killed(self, tmp_path: Path) -> None:
        """All ends with it, descendants too; the next tuner gets what is missing, and the true ends."""
        configs: list[dict[str, Any]] = [
            {"reports": 5, "hold": True, "daemon": str(tmp_path / "a"), "ignore_sigterm": True},
            {"reports": 4},
            {"reports": 1, "exit_code": 2, "echo_error": "bad luck"},
        ]
        place = self.kill_tuner(tmp_path, configs, {"0 4", "1 completed", "2 failed"})
        wait_until(lambda: not carriers(place.marker))  # they end by themselves: there may never be a next tuner
        driver = Driver(self.make_backend(), place.path)
        driver.place = place
        left = [LeftRunning(Trial(i, config), {0: i}) for i, config in enumerate(configs)]
        driver.open([*left, LeftRunning(Trial(3, {}))])  # the fourth was logged, but not started any more
        [alive] = carriers(place.marker)
        assert psutil.Process(alive).ppid() == os.getpid()  # the new supervisor
        wait_until_gone(int((tmp_path / "a").read_text()))
        outcomes = [driver.end_of(i).outcome for i in range(4)]
        driver.backend.close(stop_running=True)
        assert outcomes == [Outcome.interrupted, Outcome.completed, Outcome.failed, Outcome.interrupted]
        assert [[r.number for r in driver.reports(i)] for i in range(4)] == [[0, 1, 2, 3, 4], [1, 2, 3], [], []]
        assert "bad luck" in driver.end_of(2).reason
