"""A machine that exists only in memory, for tests of the loop: virtual time, trials that are lists of reports.

Unlike a fake that answers what the test wants, it keeps the contracts of backend and store (their contract suites run
over it) and it can die at any step, as a process does under SIGKILL: what was "on disk" stays, the rest is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store.entries import EPOCH
from cloudtune.store.store import Entry, Store
from cloudtune.trial import End, Outcome, Report, Trial, TrialEvent


class Killed(BaseException):
    """The tuner's process died here."""


@dataclass
class Program:
    """What a trial does: a report every ``seconds``, at levels 1, 2, ... up to the configuration's ``max_epochs``.

    Args:
        value: Metric value from (config, level).
        levels: Last level, if the configuration does not say.
        seconds: Virtual seconds per level, from the configuration.
        fails_at: Level instead of which the trial fails, from the configuration; 0: it does not.
        keeps_checkpoints: Whether a resumed trial goes on where it was, or from the start.
    """

    value: Callable[[Mapping[str, Any], int], float]
    levels: int = 9
    seconds: Callable[[Mapping[str, Any]], float] = lambda _config: 1.0
    fails_at: Callable[[Mapping[str, Any]], int] = lambda _config: 0
    keeps_checkpoints: bool = True


@dataclass
class Attempt:
    """One attempt of a trial on the machine."""

    trial_id: int
    number: int
    config: Mapping[str, Any]
    level: int
    due: float
    reports: list[dict[str, Any]] = field(default_factory=list)
    end: End | None = None
    delivered: int = 0
    end_delivered: bool = False


class Machine:
    """What outlives a tuner: the trials' files, the clock, the log, and a fuse that blows at a given step."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.now = 1_000.0
        self.attempts: dict[tuple[int, int], Attempt] = {}
        self.checkpoints: dict[int, int] = {}
        self.log: list[Entry] = []
        self.metadata: dict[str, Any] = {}
        self.saved: bytes | None = None
        self.owner: object | None = None
        self.steps = 0
        self.fuse: int | None = None
        self.starts: list[tuple[int, int]] = []
        self.most_at_once = 0

    def step(self) -> None:
        """A point at which the tuner may die."""
        self.steps += 1
        if self.fuse is not None and self.steps >= self.fuse:
            raise Killed

    def running(self) -> list[Attempt]:
        """Attempts whose process lives."""
        return [attempt for attempt in self.attempts.values() if attempt.end is None]

    def tuner_died(self) -> None:
        """The supervisor ends all trials; the lock is free."""
        for attempt in self.running():
            attempt.end = End(attempt.trial_id, attempt.number, Outcome.interrupted, "the tuner died")
        self.owner = None
        self.fuse = None

    def advance(self, attempt: Attempt) -> None:
        """Lets a trial do its next thing, at the time it is due."""
        self.now = max(self.now, attempt.due)
        config, program = attempt.config, self.program
        last = int(config.get("max_epochs", program.levels))
        attempt.level += 1
        if attempt.level == program.fails_at(config):
            attempt.end = End(attempt.trial_id, attempt.number, Outcome.failed, "exit code 1", 1)
        elif attempt.level > last:
            attempt.end = End(attempt.trial_id, attempt.number, Outcome.completed, "", 0)
        else:
            attempt.reports.append({"loss": program.value(config, attempt.level), "epoch": attempt.level})
            if program.keeps_checkpoints:
                self.checkpoints[attempt.trial_id] = attempt.level
            attempt.due += program.seconds(config)


class VirtualBackend(TrialBackend):
    """The backend contract over a :class:`Machine`."""

    default_name = "virtual"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.mine: dict[int, Attempt] = {}
        self._woken = False

    def time(self) -> float:
        return self.machine.now

    def open(self, place: ExperimentPlace) -> None:
        self.mine = {}

    def attach(self, trials: Sequence[LeftRunning]) -> None:
        for left in trials:
            key = (left.trial.trial_id, left.trial.attempt)
            attempt = self.machine.attempts.get(key)
            if attempt is None:
                # Logged, but the tuner died before it had started the trial.
                attempt = Attempt(*key, left.trial.config, 0, self.machine.now)
                attempt.end = End(*key, Outcome.interrupted, "never started")
                self.machine.attempts[key] = attempt
            attempt.delivered = left.delivered.get(0, 0)
            attempt.end_delivered = False
            self.mine[left.trial.trial_id] = attempt

    def _launch(self, trial: Trial, level: int) -> None:
        self.machine.step()
        key = (trial.trial_id, trial.attempt)
        assert key not in self.machine.attempts, f"attempt {key} was started twice"
        assert all(a.trial_id != trial.trial_id for a in self.machine.running()), "two processes of one trial"
        due = self.machine.now + self.machine.program.seconds(trial.config)
        self.machine.attempts[key] = self.mine[trial.trial_id] = Attempt(*key, dict(trial.config), level, due)
        self.machine.starts.append(key)
        self.machine.most_at_once = max(self.machine.most_at_once, len(self.machine.running()))
        self.machine.step()

    def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
        if checkpoint_trial_id is not None:
            self.copy_checkpoint(checkpoint_trial_id, trial.trial_id)
        self._launch(trial, self.machine.checkpoints.get(trial.trial_id, 0))

    def resume_trial(self, trial: Trial) -> None:
        self._launch(trial, self.machine.checkpoints.get(trial.trial_id, 0))

    def _end(self, trial_id: int, outcome: Outcome) -> None:
        self.machine.step()
        attempt = self.mine.get(trial_id)
        if attempt is not None and attempt.end is None:
            attempt.end = End(trial_id, attempt.number, outcome)

    def stop_trial(self, trial_id: int) -> None:
        self._end(trial_id, Outcome.stopped)

    def pause_trial(self, trial_id: int) -> None:
        self._end(trial_id, Outcome.paused)

    def _collect(self) -> list[TrialEvent]:
        events: list[TrialEvent] = []
        for trial_id, attempt in list(self.mine.items()):
            for number in range(attempt.delivered, len(attempt.reports)):
                events.append(Report(trial_id, attempt.number, 0, number, dict(attempt.reports[number])))
            attempt.delivered = len(attempt.reports)
            if attempt.end is not None and not attempt.end_delivered:
                attempt.end_delivered = True
                events.append(attempt.end)
                del self.mine[trial_id]
        return events

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        self.machine.step()
        events = self._collect()
        if events or self._woken:
            self._woken = False
            return events
        until = None if timeout is None else self.machine.now + timeout
        running = [a for a in self.mine.values() if a.end is None]
        if not running:
            assert until is not None, "the tuner waits for ever although nothing runs"
            self.machine.now = until
            return []
        attempt = min(running, key=lambda a: (a.due, a.trial_id))
        if until is not None and attempt.due > until:
            self.machine.now = until
            return []
        self.machine.advance(attempt)
        return self._collect()

    def wake(self) -> None:
        self._woken = True

    def busy_workers(self) -> int:
        return len(self.mine)

    def copy_checkpoint(self, source_trial_id: int, target_trial_id: int) -> None:
        if source_trial_id in self.machine.checkpoints:
            self.machine.checkpoints[target_trial_id] = self.machine.checkpoints[source_trial_id]

    def delete_checkpoint(self, trial_id: int) -> None:
        self.machine.checkpoints.pop(trial_id, None)

    def stdout(self, trial_id: int) -> str:
        return f"virtual output of trial {trial_id}"

    def stderr(self, trial_id: int) -> str:
        return f"virtual errors of trial {trial_id}"

    def close(self, stop_running: bool) -> None:
        for attempt in self.mine.values():
            if attempt.end is None:
                attempt.end = End(attempt.trial_id, attempt.number, Outcome.interrupted, "the tuner ended")
        self.mine = {}


class MemoryStore(Store):
    """The store contract over a :class:`Machine`: what was appended stays when the tuner dies."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def exists(self) -> bool:
        return bool(self.machine.log)

    def open(self, takeover: bool = False) -> None:
        if self.machine.owner is not None and not takeover:
            raise ExperimentLocked("the virtual experiment is driven by another tuner; pass takeover=True")
        self.machine.owner = self
        epoch = sum(entry["event"] == EPOCH for entry in self.machine.log) + 1
        self.append([{"event": EPOCH, "epoch": epoch, "unix": self.machine.now}])

    def append(self, entries: Sequence[Entry]) -> None:
        self.machine.step()
        if self.machine.owner is not self:
            raise Fenced("another tuner took the virtual experiment over")
        self.machine.log.extend(entries)
        self.machine.step()

    def flush(self) -> None:
        self.machine.step()

    def read(self, start: int = 0) -> Iterator[Entry]:
        return iter(self.machine.log[start:])

    def length(self) -> int:
        return len(self.machine.log)

    def write_metadata(self, metadata: dict[str, Any]) -> None:
        self.machine.metadata = metadata

    def update_results(self) -> None:
        self.machine.step()

    def snapshot(self, state: bytes) -> None:
        self.machine.saved = state

    def load_snapshot(self) -> bytes | None:
        return self.machine.saved

    def maintain(self, now: float) -> float | None:
        return None

    def close(self) -> None:
        if self.machine.owner is self:
            self.machine.owner = None
