"""What every backend promises of a tuner's wishes: stop, pause, resume, and what becomes of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.trial import Outcome, Trial
from tests.contracts.backend_driver import Driver
from tests.contracts.backend_under_test import BackendUnderTest


class BackendWishesContract(BackendUnderTest):
    """A trial ends as the tuner wants, if it has not ended by itself, and goes on from its checkpoint."""

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
