"""Drives a backend in the tuner's place, and remembers all that the backend tells."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.trial import End, Report, Trial, TrialEvent

#: Longer than anything of a local process may take on the slowest machine.
PATIENCE = 20.0


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
