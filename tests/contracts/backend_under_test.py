"""What the contract of backends has to know of a backend: how to make one, and what is particular about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.trial import Outcome
from tests.contracts.backend_driver import PATIENCE, Driver


class BackendUnderTest:
    """Makes backends whose trials are ``training_program.train``."""

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

    def check_nothing_runs(self, driver: Driver) -> None:
        """Looks whether any trial of the experiment still runs."""
        raise NotImplementedError
