"""What every backend of local processes promises: subclass :class:`BackendContract` for each implementation."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.trial import End, Outcome, Report, Trial, TrialEvent

TUNER_PROCESS = Path(__file__).with_name("tuner_process.py")

#: Longer than anything here may take on the slowest machine.
PATIENCE = 20.0


class Driver:
    """A backend at work, and all events it has delivered."""

    def __init__(self, backend: TrialBackend, folder: Path, n_workers: int = 2) -> None:
        self.backend = backend
        self.place = ExperimentPlace("contract", uuid.uuid4().hex[:6], folder, n_workers)
        self.events: list[TrialEvent] = []

    def open(self, left: Sequence[LeftRunning] = ()) -> None:
        self.backend.open(self.place)
        self.backend.attach(left)

    def start(self, trial_id: int, **config: Any) -> Trial:
        trial = Trial(trial_id, config)
        self.backend.start_trial(trial)
        return trial

    def wait(self, done: Callable[[], bool]) -> None:
        """Polls until it is done."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, f"nothing more came after {self.events}"
            self.events += self.backend.poll(PATIENCE)

    def end_of(self, trial_id: int, attempt: int = 0) -> End:
        """Waits for the end of an attempt."""
        self.wait(lambda: any(e[:2] == (trial_id, attempt) for e in self.ends()))
        return next(e for e in self.ends() if e[:2] == (trial_id, attempt))

    def wait_for_reports(self, trial_id: int, number: int) -> None:
        self.wait(lambda: len(self.reports(trial_id)) >= number)

    def reports(self, trial_id: int) -> list[Report]:
        return [e for e in self.events if isinstance(e, Report) and e.trial_id == trial_id]

    def ends(self) -> list[End]:
        return [e for e in self.events if isinstance(e, End)]


def gone(pid: int) -> bool:
    """Whether a process has ended (it may still wait to be waited for)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pid: int) -> None:
    """Returns when a process has ended."""
    deadline = time.monotonic() + PATIENCE
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def open_descriptors() -> int:
    """Number of file descriptors of this process."""
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


class BackendContract:
    """The promises. A subclass makes backends whose trials are ``training_program.train``."""

    def make_backend(self, **options: Any) -> TrialBackend:
        """A backend that is not open; ``stop_grace`` and ``delete_checkpoints`` among the options."""
        raise NotImplementedError

    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[Driver]:
        """An open backend; closed, and looked after, at the end."""
        descriptors, threads, children = open_descriptors(), threading.active_count(), psutil.Process().children()
        driver = Driver(self.make_backend(), tmp_path / "experiment")
        driver.place.path.mkdir()
        driver.open()
        yield driver
        driver.backend.close(stop_running=True)
        assert carriers(driver.place.marker) == []
        assert (open_descriptors(), threading.active_count()) == (descriptors, threads)
        assert psutil.Process().children() == children
        assert not [name for name in os.listdir(driver.place.path) if name.endswith("fifo")]

    def test_reports_come_once_in_order_before_the_end(self, driver: Driver) -> None:
        """Two trials of 300 reports each: every report once, in order, its end last, nothing after it."""
        for trial_id in (0, 1):
            driver.start(trial_id, reports=300)
        driver.end_of(0)
        driver.end_of(1)
        driver.events += driver.backend.poll(0)
        for trial_id in (0, 1):
            mine = [e for e in driver.events if e.trial_id == trial_id]
            assert [e.number for e in mine if isinstance(e, Report)] == list(range(300))
            assert [e.metrics["step"] for e in mine if isinstance(e, Report)] == list(range(300))
            assert isinstance(mine[-1], End)
            assert mine[-1].outcome is Outcome.completed
            assert mine[-1].exit_code == 0

    def test_a_report_wakes_the_tuner(self, driver: Driver) -> None:
        """A poll without timeout returns with the report of a trial that then goes on."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        assert driver.ends() == []
        assert driver.reports(0)[0][:4] == (0, 0, 0, 0)

    def test_stopped(self, driver: Driver) -> None:
        """A trial that is told to stop ends as stopped; being told again, or later, changes nothing."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        driver.backend.stop_trial(0)
        driver.backend.stop_trial(0)
        assert driver.end_of(0).outcome is Outcome.stopped
        driver.backend.stop_trial(0)
        driver.backend.pause_trial(0)
        assert driver.backend.poll(0) == []
        assert len(driver.ends()) == 1

    @pytest.mark.defect("R10")
    def test_stopped_against_its_will(self, tmp_path: Path) -> None:
        """A trial that ignores SIGTERM, and the child it has forked, are killed after the grace period."""
        driver = Driver(self.make_backend(stop_grace=0.2), tmp_path)
        driver.open()
        try:
            driver.start(0, reports=1, hold=True, ignore_sigterm=True, child=str(tmp_path / "pid"))
            driver.wait_for_reports(0, 1)
            driver.backend.stop_trial(0)
            assert driver.end_of(0).outcome is Outcome.stopped
            wait_until_gone(int((tmp_path / "pid").read_text()))
        finally:
            driver.backend.close(stop_running=True)

    def test_stop_after_pause_wins(self, tmp_path: Path) -> None:
        """A trial told to pause and then to stop ends as stopped: the tuner will not resume it."""
        driver = Driver(self.make_backend(stop_grace=1.0), tmp_path)
        driver.open()
        try:
            driver.start(0, reports=1, hold=True, ignore_sigterm=True)
            driver.wait_for_reports(0, 1)
            driver.backend.pause_trial(0)
            driver.backend.stop_trial(0)
            driver.backend.pause_trial(0)
            assert driver.end_of(0).outcome is Outcome.stopped
        finally:
            driver.backend.close(stop_running=True)

    def test_completed_before_the_stop_arrives(self, driver: Driver) -> None:
        """A trial that has ended by itself when it is told to stop has completed, or failed, not stopped."""
        driver.start(0, reports=1)
        driver.start(1, reports=1, exit_code=3)
        end_files = [driver.place.path / "trials" / str(trial_id) / "end-0.json" for trial_id in (0, 1)]
        deadline = time.monotonic() + PATIENCE
        while not all(file.exists() for file in end_files):  # they have ended, and the tuner does not know it yet
            assert time.monotonic() < deadline
            time.sleep(0.01)
        driver.backend.stop_trial(0)
        driver.backend.pause_trial(1)
        assert driver.end_of(0).outcome is Outcome.completed
        assert driver.end_of(1).outcome is Outcome.failed

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

    def test_pause_and_resume(self, driver: Driver) -> None:
        """A paused trial resumes with its checkpoint, as a new attempt whose reports count from 0 again."""
        trial = driver.start(0, reports=1, hold=True, save="one,")
        driver.wait_for_reports(0, 1)
        driver.backend.pause_trial(0)
        assert driver.end_of(0).outcome is Outcome.paused
        resumed = Trial(0, {**trial.config, "save": "two,", "hold": False}, attempt=1)
        driver.backend.resume_trial(resumed)
        assert driver.end_of(0, attempt=1).outcome is Outcome.completed
        second = driver.reports(0)[1]
        assert second[:4] == (0, 1, 0, 0)
        assert (second.metrics["found"], second.metrics["attempt"]) == ("one,", "1")

    def test_checkpoint_of_another_trial(self, driver: Driver) -> None:
        """A new trial may start from a copy of another's checkpoint; a later copy replaces all that was there."""
        driver.start(0, save="zero,")
        driver.end_of(0)
        driver.backend.start_trial(Trial(1, {"save": "one,", "reports": 1}), checkpoint_trial_id=0)
        driver.end_of(1)
        assert driver.reports(1)[0].metrics["found"] == "zero,"
        driver.backend.copy_checkpoint(0, 1)
        driver.backend.resume_trial(Trial(1, {"save": "two,", "reports": 1}, attempt=1))
        driver.end_of(1, attempt=1)
        assert driver.reports(1)[1].metrics["found"] == "zero,"
        driver.backend.delete_checkpoint(1)
        driver.backend.delete_checkpoint(1)
        driver.backend.resume_trial(Trial(1, {"save": "three,", "reports": 1}, attempt=2))
        driver.end_of(1, attempt=2)
        assert driver.reports(1)[2].metrics["found"] == ""

    def test_checkpoints_are_deleted_only_when_the_tuner_says_so(self, tmp_path: Path) -> None:
        """However an attempt ends, only the tuner knows whether its trial goes on: the backend deletes when told."""
        driver = Driver(self.make_backend(delete_checkpoints=True), tmp_path)
        driver.open()
        try:
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
        finally:
            driver.backend.close(stop_running=True)

    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ({"exit_code": 3, "echo_error": "out of luck"}, ["exit code 3", "out of luck"]),
            ({"raises": "boom"}, ["exit code 1", "RuntimeError: boom"]),
            ({"hard_exit": 7, "echo": "only on stdout"}, ["exit code 7", "only on stdout"]),
            ({"by_signal": int(signal.SIGSEGV)}, ["killed by SIGSEGV", "it wrote no output"]),
            ({"by_signal": int(signal.SIGKILL), "reports": 2}, ["killed by SIGKILL"]),
        ],
    )
    def test_failure_says_why(self, driver: Driver, config: dict[str, Any], expected: list[str]) -> None:
        """However a trial dies, its end says how, with its last words; its reports are kept; another trial goes on."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        driver.start(1, **config)
        end = driver.end_of(1)
        assert end.outcome is Outcome.failed
        for part in expected:
            assert part in end.reason
        assert len(driver.reports(1)) == config.get("reports", 0)
        driver.backend.stop_trial(0)
        assert driver.end_of(0).outcome is Outcome.stopped

    def test_reason_is_of_the_last_attempt(self, driver: Driver) -> None:
        """What an earlier attempt wrote is no reason for the failure of a later one."""
        driver.start(0, echo_error="first words", reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        driver.backend.pause_trial(0)
        driver.end_of(0)
        driver.backend.resume_trial(Trial(0, {"hard_exit": 1}, attempt=1))
        assert "first words" not in driver.end_of(0, attempt=1).reason
        assert "first words" in driver.backend.stderr(0)

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

    def test_output(self, driver: Driver) -> None:
        """stdout and stderr hold what the trial wrote, over all attempts; nothing before it was started."""
        assert driver.backend.stdout(0) == ""
        driver.start(0, echo="größer ✓", echo_error="oh")
        driver.end_of(0)
        assert "größer ✓" in driver.backend.stdout(0)
        assert "oh" in driver.backend.stderr(0)
        driver.backend.resume_trial(Trial(0, {"echo": "again"}, attempt=1))
        driver.end_of(0, attempt=1)
        assert [word for word in driver.backend.stdout(0).split() if "tune" not in word] == ["größer", "✓", "again"]

    def test_much_output_costs_nothing(self, driver: Driver) -> None:
        """100 MB on stdout: the trial's reports, end and reason come as ever."""
        driver.start(0, flood=100, reports=2, echo_error="last words", exit_code=1)
        end = driver.end_of(0)
        assert "last words" in end.reason
        assert len(end.reason) < 4096
        assert len(driver.reports(0)) == 2

    def test_lines_that_are_no_reports(self, driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
        """Garbage in the report file is skipped, told once with the file's name, and not counted."""
        driver.start(0, garbage='rubbish\n[1]\n{"torn":\n', reports=2)
        driver.end_of(0)
        assert [report.number for report in driver.reports(0)] == [0, 1]
        warnings = [record.getMessage() for record in caplog.records if "not a report" in record.getMessage()]
        assert len(warnings) == 1
        assert "reports-0.jsonl" in warnings[0]

    def test_reports_that_woke_nobody(self, driver: Driver) -> None:
        """A report that came without waking the tuner is delivered at the latest before the end."""
        driver.start(0, garbage='{"step": 7}\n')
        driver.end_of(0)
        assert [report.metrics for report in driver.reports(0)] == [{"step": 7}]
        assert isinstance(driver.events[-1], End)

    def test_busy_workers(self, driver: Driver) -> None:
        """A worker is busy from the start of an attempt until its end was delivered."""
        assert driver.backend.busy_workers() == 0
        driver.start(0, hold=True, reports=1)
        driver.start(1)
        assert driver.backend.busy_workers() == 2
        driver.end_of(1)
        assert driver.backend.busy_workers() == 1
        driver.wait_for_reports(0, 1)
        driver.backend.stop_trial(0)
        assert driver.backend.busy_workers() == 1
        driver.end_of(0)
        assert driver.backend.busy_workers() == 0

    def test_wake(self, driver: Driver) -> None:
        """wake() ends a poll that would last for ever, from a thread or before it; poll(0) never blocks."""
        assert driver.backend.poll(0) == []
        driver.backend.wake()
        assert driver.backend.poll(None) == []
        thread = threading.Timer(0.05, driver.backend.wake)
        thread.start()
        assert driver.backend.poll(None) == []
        thread.join()
        for _ in range(100_000):  # more than a pipe holds: it must never block
            driver.backend.wake()
        assert driver.backend.poll(None) == []

    def test_wake_in_a_signal_handler(self, driver: Driver) -> None:
        """A signal handler that calls wake() ends the poll it has interrupted."""
        before = signal.signal(signal.SIGALRM, lambda *_: driver.backend.wake())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert driver.backend.poll(None) == []
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_signals_that_the_tuner_blocks(self, tmp_path: Path) -> None:
        """A tuner whose thread blocks signals has trials that end, and stop, as ever."""
        driver = Driver(self.make_backend(), tmp_path)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
        try:
            driver.open()
            driver.start(0, reports=1, exit_code=3)
            driver.start(1, reports=1, hold=True)
            assert driver.end_of(0).exit_code == 3
            driver.wait_for_reports(1, 1)
            supervisor = psutil.Process(driver.reports(1)[0].metrics["pid"]).parent()
            assert supervisor is not None
            supervisor.terminate()
            assert driver.end_of(1).outcome is Outcome.interrupted
        finally:
            driver.backend.close(stop_running=True)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def test_relative_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a relative folder trials report and wake the tuner, whatever directory they, or the tuner, go to."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(tmp_path)
        driver = Driver(self.make_backend(), Path("experiment"))
        driver.place.path.mkdir()
        driver.open()
        try:
            driver.start(0, goes_to=str(elsewhere), reports=1, save="one,", hold=True)
            driver.wait_for_reports(0, 1)
            monkeypatch.chdir(elsewhere)
            self.kill_supervisor(driver)
            driver.end_of(0)
            driver.backend.resume_trial(Trial(0, {"goes_to": "/", "reports": 1, "save": "two,", "hold": True}, 1))
            driver.wait_for_reports(0, 2)
            assert driver.reports(0)[1].metrics["found"] == "one,"
        finally:
            driver.backend.close(stop_running=True)
        assert list(elsewhere.iterdir()) == []
        assert not list((tmp_path / "experiment").glob("*.fifo"))

    def test_clock(self, driver: Driver) -> None:
        """The clock shows the time of day and never runs backwards."""
        times = [driver.backend.time() for _ in range(1000)]
        assert times == sorted(times)
        assert abs(times[0] - time.time()) < 3600

    def test_closing_ends_everything(self, driver: Driver, tmp_path: Path) -> None:
        """close() returns when trials, their descendants and our processes are gone; then it may be opened again."""
        driver.start(0, hold=True, reports=1, daemon=str(tmp_path / "a"))
        driver.start(1, hold=True, reports=1, child=str(tmp_path / "b"))
        driver.wait_for_reports(0, 1)
        driver.wait_for_reports(1, 1)
        driver.backend.close(stop_running=False)
        assert carriers(driver.place.marker) == []
        assert all(gone(int((tmp_path / name).read_text())) for name in "ab")
        driver.backend.wake()
        driver.backend.close(stop_running=True)
        driver.open([LeftRunning(Trial(0), {0: 1}), LeftRunning(Trial(1), {})])
        assert driver.backend.busy_workers() == 2
        driver.events.clear()
        assert driver.end_of(0).outcome is Outcome.interrupted
        assert driver.end_of(1).outcome is Outcome.interrupted
        assert [len(driver.reports(trial_id)) for trial_id in (0, 1)] == [0, 1]
        assert driver.backend.busy_workers() == 0

    def test_the_supervisor_is_killed(self, driver: Driver, tmp_path: Path) -> None:
        """Then running trials end as interrupted with all their reports, nothing of them lives on, and work goes on."""
        driver.start(0, reports=3, hold=True, daemon=str(tmp_path / "pid"))
        driver.wait_for_reports(0, 1)
        report_file = driver.place.path / "trials" / "0" / "reports-0.jsonl"
        deadline = time.monotonic() + PATIENCE
        while report_file.read_text().count("\n") < 3:  # the trial has sent all, whether the tuner has read it or not
            assert time.monotonic() < deadline
            time.sleep(0.01)
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

    def kill_tuner(self, tmp_path: Path, configs: list[dict[str, Any]], expected: set[str]) -> ExperimentPlace:
        """Kills (SIGKILL) a tuner process once it has printed the expected events."""
        backend_file = tmp_path / "backend.pickle"
        backend_file.write_bytes(pickle.dumps(self.make_backend()))
        folder = tmp_path / "experiment"
        folder.mkdir()
        place = ExperimentPlace("killed", uuid.uuid4().hex[:6], folder, 2)
        argv = [
            sys.executable,
            str(TUNER_PROCESS),
            str(backend_file),
            str(folder),
            place.experiment_id,
            json.dumps(configs),
        ]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as tuner:
            assert tuner.stdout is not None
            while expected:
                line = tuner.stdout.readline().strip()
                assert line, f"the tuner ended before {expected}"
                expected.discard(line)
            tuner.kill()
        return place

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
        deadline = time.monotonic() + PATIENCE
        while carriers(place.marker):  # they end by themselves: there may never be a next tuner
            assert time.monotonic() < deadline
            time.sleep(0.05)
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

    def test_pickling(self, tmp_path: Path) -> None:
        """A backend that is not open can be pickled, works after it, and says why it cannot while it is open."""
        backend: TrialBackend = pickle.loads(pickle.dumps(self.make_backend()))
        driver = Driver(backend, tmp_path)
        driver.open()
        with pytest.raises(RuntimeError, match="close it first"):
            pickle.dumps(backend)
        driver.start(0, reports=1)
        assert driver.end_of(0).outcome is Outcome.completed
        backend.close(stop_running=True)
        pickle.dumps(backend)

    def test_not_open(self) -> None:
        """Using a backend before it is opened says what to do; closing and waking it is allowed."""
        backend = self.make_backend()
        with pytest.raises(RuntimeError, match=r"open\(place\)"):
            backend.start_trial(Trial(0))
        backend.wake()
        backend.close(stop_running=True)
        assert backend.busy_workers() == 0

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_any_order_of_calls(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        """Whatever is called in whatever order: one end per attempt, reports once and in order, workers counted."""
        driver = Driver(self.make_backend(stop_grace=0.5), tmp_path_factory.mktemp("calls"), n_workers=4)
        driver.open()
        attempts: dict[int, int] = {}
        reports = st.integers(0, 3)
        try:
            for _ in range(data.draw(st.integers(3, 10), label="calls")):
                running = [e for e in attempts.items() if not any(end[:2] == e for end in driver.ends())]
                assert driver.backend.busy_workers() == len(running)
                paused = [
                    e.trial_id
                    for e in driver.ends()
                    if e.outcome is Outcome.paused and attempts[e.trial_id] == e.attempt
                ]
                call = data.draw(st.sampled_from(["start", "stop", "pause", "resume", "poll", "hold"]))
                if call in ("start", "hold") and len(running) < 4:
                    trial = driver.start(len(attempts), reports=data.draw(reports), hold=call == "hold")
                    attempts[trial.trial_id] = 0
                elif call == "resume" and paused:
                    attempts[paused[0]] += 1
                    driver.backend.resume_trial(
                        Trial(paused[0], {"reports": data.draw(reports)}, attempt=attempts[paused[0]])
                    )
                elif call == "stop" and attempts:
                    driver.backend.stop_trial(data.draw(st.sampled_from(sorted(attempts))))
                elif call == "pause" and attempts:
                    driver.backend.pause_trial(data.draw(st.sampled_from(sorted(attempts))))
                elif call == "poll":
                    driver.events += driver.backend.poll(data.draw(st.sampled_from([0, 0.05])))
            for trial_id, attempt in attempts.items():
                driver.backend.stop_trial(trial_id)
                driver.end_of(trial_id, attempt)
            assert driver.backend.busy_workers() == 0
            assert driver.backend.poll(0) == []
        finally:
            driver.backend.close(stop_running=True)
        expected = {(trial_id, attempt) for trial_id, last in attempts.items() for attempt in range(last + 1)}
        assert sorted(end[:2] for end in driver.ends()) == sorted(expected)
        for attempt_id in expected:
            mine = [event for event in driver.events if event[:2] == attempt_id]
            assert [event.number for event in mine[:-1] if isinstance(event, Report)] == list(range(len(mine) - 1))
            assert isinstance(mine[-1], End)
