"""What every backend promises: subclass :class:`BackendContract` for each implementation.

Nothing here knows where a trial runs: what a test learns of a trial comes by its reports, its checkpoint or its output.
Backends whose trials are processes of this machine promise more: see :mod:`tests.contracts.local_process_contract`.
"""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.trial import End, Outcome, Report, Trial, TrialEvent
from tests.contracts.training_program import ODD_VALUES

TUNER_PROCESS = Path(__file__).with_name("tuner_process.py")

#: Longer than anything of a local process may take on the slowest machine.
PATIENCE = 60.0


class Driver:
    """A backend at work, and all events it has delivered.

    Args:
        backend: Not open.
        folder: Of the experiment; it is there.
        n_workers: Of the experiment.
        patience: Seconds after which a test that waits has failed.
    """

    def __init__(self, backend: TrialBackend, folder: Path, n_workers: int = 2, patience: float = PATIENCE) -> None:
        self.backend = backend
        self.place = ExperimentPlace("contract", uuid.uuid4().hex[:6], folder, n_workers)
        self.events: list[TrialEvent] = []
        self.patience = patience

    def open(self, left: Sequence[LeftRunning] = ()) -> None:
        self.backend.open(self.place)
        self.backend.attach(left)

    def start(self, trial_id: int, **config: Any) -> Trial:
        trial = Trial(trial_id, config)
        self.backend.start_trial(trial)
        return trial

    def poll(self, timeout: float | None = 0) -> list[TrialEvent]:
        """Polls once, and answers with the reports and ends that came."""
        events = self.backend.poll(timeout)
        self.events += events
        return [event for event in events if isinstance(event, Report | End)]

    def wait(self, done: Callable[[], bool]) -> None:
        """Polls until it is done. Only what comes in time counts: a poll that ran to its timeout has woken nobody."""
        deadline = time.monotonic() + self.patience
        while not done():
            self.poll(max(0.0, deadline - time.monotonic()))
            assert time.monotonic() < deadline, f"nothing more came after {self.events}"

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

    def of_attempt(self, trial_id: int, attempt: int = 0) -> list[Report | End]:
        """The reports and ends of an attempt, as they came."""
        return [e for e in self.events if isinstance(e, Report | End) and e[:2] == (trial_id, attempt)]


class BackendContract:
    """The promises. A subclass makes backends whose trials are ``training_program.train``."""

    #: Seconds after which a test that waits has failed.
    patience = PATIENCE
    #: Whether the worker of an attempt is free as soon as its end was delivered, or some time later.
    frees_with_the_end = True
    #: Whether standard output and standard error of a trial are one log.
    one_log = False
    #: Whether trials run on when their tuner is killed.
    outlives_the_tuner = False
    #: How attempts may end that the closing of their backend has ended.
    ends_of_closing = frozenset({Outcome.interrupted})
    #: What a trial may print without harm, in lines of a megabyte each.
    megabytes = 100
    #: How the reason of a failure names the signal that killed the trial, and that it has written nothing.
    killed_by = "killed by {}"
    no_output = "it wrote no output"

    def make_backend(self, **options: Any) -> TrialBackend:
        """A backend that is not open; ``stop_grace`` and ``delete_checkpoints`` among the options."""
        raise NotImplementedError

    def wait_until_over(self, driver: Driver, trial_id: int) -> None:
        """Returns when attempt 0 of a trial has ended by itself, without having the tuner poll."""
        raise NotImplementedError

    def wait_until_saved(self, driver: Driver, trial_id: int) -> None:
        """Returns when what a running trial has saved would survive its machine; where it is so at once, at once."""

    def before(self) -> Any:
        """What :meth:`check_nothing_left` wants to know of the time before the backend was made."""

    def check_nothing_left(self, driver: Driver, before: Any) -> None:
        """Looks after a backend that was closed."""
        raise NotImplementedError

    @contextmanager
    def driving(self, folder: Path, n_workers: int = 2, **options: Any) -> Iterator[Driver]:
        """A driver, in a folder that is made; its backend is opened by the test, and closed at the end."""
        folder.mkdir(exist_ok=True)
        driver = Driver(self.make_backend(**options), folder, n_workers, self.patience)
        try:
            yield driver
        finally:
            driver.backend.close(stop_running=True)

    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[Driver]:
        """An open backend; closed, and looked after, at the end."""
        before = self.before()
        with self.driving(tmp_path / "experiment") as driver:
            driver.open()
            yield driver
        self.check_nothing_left(driver, before)

    def wait_until_busy(self, driver: Driver, workers: int) -> None:
        """Waits until so many workers are busy; at once, where they are free with the end."""
        if not self.frees_with_the_end:
            driver.wait(lambda: driver.backend.busy_workers() <= workers)
        assert driver.backend.busy_workers() == workers

    def test_reports_come_once_in_order_before_the_end(self, driver: Driver) -> None:
        """Two trials of 300 reports each: every report once, in order, its end last, nothing after it."""
        for trial_id in (0, 1):
            driver.start(trial_id, reports=300)
        driver.end_of(0)
        driver.end_of(1)
        driver.poll()
        for trial_id in (0, 1):
            *reports, end = driver.of_attempt(trial_id)
            assert [e.number for e in reports if isinstance(e, Report)] == list(range(300))
            assert [e.metrics["step"] for e in reports if isinstance(e, Report)] == list(range(300))
            assert isinstance(end, End)
            assert end.outcome is Outcome.completed
            assert end.exit_code == 0

    def test_a_report_wakes_the_tuner(self, driver: Driver) -> None:
        """A poll that would last returns with the report of a trial that then goes on."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        assert driver.ends() == []
        assert driver.reports(0)[0][:4] == (0, 0, 0, 0)

    def test_values_arrive_as_they_were(self, driver: Driver) -> None:
        """Numbers to their last digit, NaN, infinities, text with any letter, nested values, and a long one."""
        driver.start(0, odd=True)
        driver.end_of(0)
        metrics = driver.reports(0)[0].metrics
        arrived = {key: metrics[key] for key in ODD_VALUES}
        assert json.dumps(arrived, sort_keys=True) == json.dumps(ODD_VALUES, sort_keys=True)

    def test_stopped(self, driver: Driver) -> None:
        """A trial that is told to stop ends as stopped; being told again, or later, changes nothing."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        driver.backend.stop_trial(0)
        driver.backend.stop_trial(0)
        assert driver.end_of(0).outcome is Outcome.stopped
        driver.backend.stop_trial(0)
        driver.backend.pause_trial(0)
        assert driver.poll() == []
        self.wait_until_busy(driver, 0)
        assert len(driver.ends()) == 1

    @pytest.mark.defect("R10")
    def test_stopped_against_its_will(self, tmp_path: Path) -> None:
        """A trial that ignores SIGTERM is killed after the grace period."""
        with self.driving(tmp_path, stop_grace=0.2) as driver:
            driver.open()
            driver.start(0, reports=1, hold=True, ignore_sigterm=True)
            driver.wait_for_reports(0, 1)
            driver.backend.stop_trial(0)
            assert driver.end_of(0).outcome is Outcome.stopped

    def test_stop_after_pause_wins(self, tmp_path: Path) -> None:
        """A trial told to pause and then to stop ends as stopped: the tuner will not resume it."""
        with self.driving(tmp_path, stop_grace=1.0) as driver:
            driver.open()
            driver.start(0, reports=1, hold=True, ignore_sigterm=True)
            driver.wait_for_reports(0, 1)
            driver.backend.pause_trial(0)
            driver.backend.stop_trial(0)
            driver.backend.pause_trial(0)
            assert driver.end_of(0).outcome is Outcome.stopped

    def test_completed_before_the_stop_arrives(self, driver: Driver) -> None:
        """A trial that has ended by itself when it is told to stop has completed, or failed, not stopped."""
        driver.start(0, reports=1)
        driver.start(1, reports=1, exit_code=3)
        for trial_id in (0, 1):
            self.wait_until_over(driver, trial_id)
        driver.backend.stop_trial(0)
        driver.backend.pause_trial(1)
        assert driver.end_of(0).outcome is Outcome.completed
        assert driver.end_of(1).outcome is Outcome.failed

    def test_stopped_before_it_ran(self, driver: Driver) -> None:
        """A trial that is told to end right after it was started ends all the same, once."""
        for trial_id in (0, 1):
            driver.start(trial_id, hold=True)
        driver.backend.stop_trial(0)
        driver.backend.pause_trial(1)
        assert driver.end_of(0).outcome is Outcome.stopped
        assert driver.end_of(1).outcome is Outcome.paused
        driver.backend.resume_trial(Trial(1, {"reports": 1}, attempt=1))
        assert driver.end_of(1, attempt=1).outcome is Outcome.completed
        assert len(driver.ends()) == 3

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
        with self.driving(tmp_path, n_workers=4, delete_checkpoints=True) as driver:
            driver.open()
            configs: list[dict[str, Any]] = [{"hold": True}, {"hold": True}, {"exit_code": 1}, {}]
            for trial_id, config in enumerate(configs):
                driver.start(trial_id, save=f"{trial_id},", reports=1, **config)
            for trial_id in range(4):
                driver.wait_for_reports(trial_id, 1)
            self.wait_until_saved(driver, 1)
            driver.backend.pause_trial(0)
            driver.backend.stop_trial(1)
            outcomes = [driver.end_of(trial_id).outcome for trial_id in range(4)]
            assert outcomes == [Outcome.paused, Outcome.stopped, Outcome.failed, Outcome.completed]
            assert self.found_by_copies(driver, first=4) == ["0,", "1,", "2,", "3,"]
            for trial_id in (1, 2, 3, 3, 99):  # twice, and one that never was: harmless
                driver.backend.delete_checkpoint(trial_id)
            assert self.found_by_copies(driver, first=8) == ["0,", "", "", ""]

    def found_by_copies(self, driver: Driver, first: int) -> list[str]:
        """What new trials find that start from the checkpoints of trials 0 to 3."""
        for source in range(4):
            driver.backend.start_trial(
                Trial(first + source, {"save": "copy", "reports": 1}), checkpoint_trial_id=source
            )
        for source in range(4):
            assert driver.end_of(first + source).outcome is Outcome.completed
        return [driver.reports(first + source)[0].metrics["found"] for source in range(4)]

    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ({"exit_code": 3, "echo_error": "out of luck"}, ["exit code 3", "out of luck"]),
            ({"raises": "boom"}, ["exit code 1", "RuntimeError: boom"]),
            ({"hard_exit": 7, "echo": "only on stdout"}, ["exit code 7", "only on stdout"]),
            ({"by_signal": int(signal.SIGSEGV)}, ["SIGSEGV"]),
            ({"by_signal": int(signal.SIGKILL), "reports": 2}, ["SIGKILL"]),
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
            assert (self.killed_by.format(part) if "by_signal" in config else part) in end.reason
        if config.keys() <= {"by_signal", "reports"}:
            assert self.no_output in end.reason
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

    def test_output(self, driver: Driver) -> None:
        """stdout and stderr hold what the trial wrote, over all attempts; nothing before it was started."""
        assert driver.backend.stdout(0) == ""
        driver.start(0, echo="größer ✓", echo_error="oh")
        driver.end_of(0)
        assert "größer ✓" in driver.backend.stdout(0)
        assert "oh" in driver.backend.stderr(0)
        driver.backend.resume_trial(Trial(0, {"echo": "again"}, attempt=1))
        driver.end_of(0, attempt=1)
        lines = driver.backend.stdout(0).splitlines()
        own = [word for line in lines if "tune" not in line for word in line.split()]
        if self.one_log:  # which of the two comes first is a matter of buffers
            assert sorted(own[:3]) == ["größer", "oh", "✓"]
            del own[own.index("oh")]
        assert own == ["größer", "✓", "again"]

    def test_much_output_costs_nothing(self, driver: Driver) -> None:
        """Megabytes on stdout: the trial's reports, end and reason come as ever."""
        last = {"raises": "last words"} if self.one_log else {"echo_error": "last words", "exit_code": 1}
        driver.start(0, flood=self.megabytes, reports=2, **last)
        end = driver.end_of(0)
        assert "last words" in end.reason
        assert len(end.reason) < 4096
        assert len(driver.reports(0)) == 2

    def test_lines_that_are_no_reports(self, driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
        """Garbage in the report file is skipped, and not counted."""
        driver.start(0, garbage='rubbish\n[1]\n{"torn":\n', reports=2)
        driver.end_of(0)
        assert [report.number for report in driver.reports(0)] == [0, 1]
        assert [report.metrics["step"] for report in driver.reports(0)] == [0, 1]

    def test_reports_that_woke_nobody(self, driver: Driver) -> None:
        """A report that came without waking the tuner is delivered at the latest before the end."""
        driver.start(0, garbage='{"step": 7}\n')
        driver.end_of(0)
        assert [report.metrics for report in driver.reports(0)] == [{"step": 7}]
        assert isinstance(driver.of_attempt(0)[-1], End)

    def test_busy_workers(self, driver: Driver) -> None:
        """A worker is busy from the start of an attempt until its end at the least; poll tells when it is free."""
        assert driver.backend.busy_workers() == 0
        driver.start(0, hold=True, reports=1)
        driver.start(1)
        assert driver.backend.busy_workers() == 2
        driver.end_of(1)
        self.wait_until_busy(driver, 1)
        driver.wait_for_reports(0, 1)
        driver.backend.stop_trial(0)
        assert driver.backend.busy_workers() == 1
        driver.end_of(0)
        self.wait_until_busy(driver, 0)

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

    def test_wake_while_trials_run(self, driver: Driver) -> None:
        """Nor does a poll that waits for a running trial last when it is woken."""
        driver.start(0, reports=1, hold=True)
        driver.wait_for_reports(0, 1)
        thread = threading.Timer(0.05, driver.backend.wake)
        thread.start()
        assert driver.poll(None) == []
        thread.join()

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
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
        try:
            with self.driving(tmp_path) as driver:
                driver.open()
                driver.start(0, reports=1, exit_code=3)
                driver.start(1, reports=1, hold=True)
                assert driver.end_of(0).exit_code == 3
                driver.wait_for_reports(1, 1)
                self.end_by_a_signal(driver, 1)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end_by_a_signal(self, driver: Driver, trial_id: int) -> None:
        """Has a trial get SIGTERM from whoever is above it, and waits for its end."""
        driver.backend.stop_trial(trial_id)
        assert driver.end_of(trial_id).outcome is Outcome.stopped

    def test_clock(self, driver: Driver) -> None:
        """The clock shows the time of day and never runs backwards."""
        times = [driver.backend.time() for _ in range(1000)]
        assert times == sorted(times)
        assert abs(times[0] - time.time()) < 3600

    def test_closing_ends_everything(self, driver: Driver) -> None:
        """After close(stop_running=True) nothing runs; the backend may be opened again, and tells what became of it."""
        driver.start(0, hold=True, reports=1)
        driver.start(1, hold=True, reports=1)
        driver.wait_for_reports(0, 1)
        driver.wait_for_reports(1, 1)
        driver.backend.close(stop_running=True)
        self.check_nothing_runs(driver)
        driver.backend.wake()
        driver.backend.close(stop_running=True)
        self.check_after_reopening(driver)

    def check_nothing_runs(self, driver: Driver) -> None:
        """Looks whether any trial of the experiment still runs."""
        raise NotImplementedError

    def check_after_reopening(self, driver: Driver) -> None:
        """Opens a backend again that was closed while trials 0 and 1 ran, of which a report each had come."""
        driver.open([LeftRunning(Trial(0), {0: 1}), LeftRunning(Trial(1), {})])
        assert driver.backend.busy_workers() == 2
        driver.events.clear()
        assert driver.end_of(0).outcome in self.ends_of_closing
        assert driver.end_of(1).outcome in self.ends_of_closing
        assert [len(driver.reports(trial_id)) for trial_id in (0, 1)] == [0, 1]
        self.wait_until_busy(driver, 0)

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
        """The next tuner gets what is missing, and the true ends; what could not run on ends as interrupted."""
        configs: list[dict[str, Any]] = [
            {"reports": 5, "hold": True},
            {"reports": 4},
            {"reports": 1, "exit_code": 2, "echo_error": "bad luck"},
        ]
        place = self.kill_tuner(tmp_path, configs, {"0 4", "1 completed", "2 failed"})
        with self.driving(place.path) as driver:
            driver.place = place
            left = [LeftRunning(Trial(i, config), {0: i}) for i, config in enumerate(configs)]
            driver.open([*left, LeftRunning(Trial(3, {}))])  # the fourth was logged, but not started any more
            outcomes = [driver.end_of(i).outcome for i in (1, 2, 3)]
            assert outcomes == [Outcome.completed, Outcome.failed, Outcome.interrupted]
            assert "bad luck" in driver.end_of(2).reason
            if self.outlives_the_tuner:
                driver.wait_for_reports(0, 5)
                assert driver.of_attempt(0) == driver.reports(0)
                self.wait_until_busy(driver, 1)
                driver.backend.stop_trial(0)
                assert driver.end_of(0).outcome is Outcome.stopped
            else:
                assert driver.end_of(0).outcome is Outcome.interrupted
            assert [[r.number for r in driver.reports(i)] for i in range(4)] == [[0, 1, 2, 3, 4], [1, 2, 3], [], []]

    def test_pickling(self, tmp_path: Path) -> None:
        """A backend that is not open can be pickled, works after it, and says why it cannot while it is open."""
        with self.driving(tmp_path) as driver:
            driver.backend = backend = pickle.loads(pickle.dumps(driver.backend))
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
        self.check_any_order(tmp_path_factory.mktemp("calls"), data)

    def check_any_order(self, folder: Path, data: st.DataObject) -> None:
        """Calls in any order, ends all trials, and looks at what was told."""
        with self.driving(folder, n_workers=4, stop_grace=0.5) as driver:
            driver.open()
            attempts = self.call_in_any_order(driver, data)
            for trial_id, attempt in attempts.items():
                driver.backend.stop_trial(trial_id)
                driver.end_of(trial_id, attempt)
            self.wait_until_busy(driver, 0)
            assert driver.poll() == []
        expected = {(trial_id, attempt) for trial_id, last in attempts.items() for attempt in range(last + 1)}
        assert sorted(end[:2] for end in driver.ends()) == sorted(expected)
        for attempt_id in expected:
            *reports, end = driver.of_attempt(*attempt_id)
            assert [event.number for event in reports if isinstance(event, Report)] == list(range(len(reports)))
            assert isinstance(end, End)

    def call_in_any_order(self, driver: Driver, data: st.DataObject) -> dict[int, int]:
        """Calls what hypothesis says; answers with the number of each trial's newest attempt."""
        attempts: dict[int, int] = {}
        reports = st.integers(0, 3)
        for _ in range(data.draw(st.integers(3, 10), label="calls")):
            running = [e for e in attempts.items() if not any(end[:2] == e for end in driver.ends())]
            busy = driver.backend.busy_workers()
            assert busy == len(running) if self.frees_with_the_end else busy >= len(running)
            paused = [
                e.trial_id for e in driver.ends() if e.outcome is Outcome.paused and attempts[e.trial_id] == e.attempt
            ]
            call = data.draw(st.sampled_from(["start", "stop", "pause", "resume", "poll", "hold"]))
            if call in ("start", "hold") and len(running) < 4:
                trial = driver.start(len(attempts), reports=data.draw(reports), hold=call == "hold")
                attempts[trial.trial_id] = 0
            elif call == "resume" and paused:
                attempts[paused[0]] += 1
                resumed = Trial(paused[0], {"reports": data.draw(reports)}, attempt=attempts[paused[0]])
                driver.backend.resume_trial(resumed)
            elif call == "stop" and attempts:
                driver.backend.stop_trial(data.draw(st.sampled_from(sorted(attempts))))
            elif call == "pause" and attempts:
                driver.backend.pause_trial(data.draw(st.sampled_from(sorted(attempts))))
            elif call == "poll":
                driver.poll(data.draw(st.sampled_from([0, 0.05])))
        return attempts
