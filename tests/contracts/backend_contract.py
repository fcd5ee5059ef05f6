"""What every backend promises: subclass :class:`BackendContract` for each implementation.

Nothing here knows where a trial runs: what a test learns of a trial comes by its reports, its checkpoint or its output.
Backends whose trials are processes of this machine promise more: see :mod:`tests.contracts.local_process_contract`.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning
from cloudtune.trial import End, Outcome, Report, Trial
from tests.contracts.backend_driver import Driver
from tests.contracts.backend_poll_contract import BackendPollContract
from tests.contracts.backend_reports_contract import BackendReportsContract
from tests.contracts.backend_wishes_contract import BackendWishesContract

TUNER_PROCESS = Path(__file__).with_name("tuner_process.py")


class BackendContract(BackendReportsContract, BackendWishesContract, BackendPollContract):
    """All promises: also of closing, of tuners that are killed, of pickling, and of calls in any order."""

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
