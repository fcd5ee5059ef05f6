"""What every backend promises of waiting: who wakes a poll, which signals do no harm, which workers are busy."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from cloudtune.trial import Outcome
from tests.contracts.backend_driver import Driver
from tests.contracts.backend_under_test import BackendUnderTest


class BackendPollContract(BackendUnderTest):
    """A poll lasts until there is news, or until it is woken, from wherever that is."""

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
        before = signal.signal(signal.SIGUSR1, lambda *_: driver.backend.wake())
        # Not by SIGALRM: that is the clock of pytest-timeout. The handler stays until the signal has been sent.
        sender = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
        try:
            sender.start()
            assert driver.backend.poll(None) == []
        finally:
            sender.join()
            signal.signal(signal.SIGUSR1, before)

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
