"""What every backend promises of what its trials say: reports, output, and the reason of a failure."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from cloudtune.trial import End, Outcome, Report, Trial
from tests.contracts.backend_driver import Driver
from tests.contracts.backend_under_test import BackendUnderTest
from tests.contracts.training_program import ODD_VALUES


class BackendReportsContract(BackendUnderTest):
    """Every report once and in order, with its values; the end after them, with the last words of a failure."""

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
