"""Backend and store over a machine that exists only in memory, for tests of the loop.

Unlike a fake that answers what the test wants, it keeps the contracts of backend and store (their contract suites run
over it) and it can die at any step, as a process does under SIGKILL: what was "on disk" stays, the rest is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store.entries import EPOCH
from cloudtune.store.store import Entry, Store
from cloudtune.trial import Bill, End, Outcome, Report, Trial, TrialEvent
from tests.virtual_machine import Attempt, Killed, Machine, Program, Terms

__all__ = ["Attempt", "Killed", "Machine", "MemoryStore", "Program", "Terms", "VirtualBackend"]


class VirtualBackend(TrialBackend):
    """The backend contract over a :class:`Machine`."""

    default_name = "virtual"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.mine: dict[int, Attempt] = {}
        #: Attempts whose end was told, and whose worker is not free or whose final bill was not told; how many were.
        self.unsettled: dict[tuple[int, int], int] = {}
        self._woken = False

    def time(self) -> float:
        return self.machine.now

    def open(self, place: ExperimentPlace) -> None:
        self.mine = {}
        self.unsettled = {}

    def attach(self, trials: Sequence[LeftRunning]) -> None:
        for left in trials:
            key = (left.trial.trial_id, left.trial.attempt)
            attempt = self.machine.attempts.get(key)
            if attempt is None:
                # Logged, but the tuner died before it had started the trial.
                now = self.machine.now
                attempt = Attempt(*key, left.trial.config, 0, now, began=now, ended=now, started=False)
                attempt.end = End(*key, Outcome.interrupted, "never started")
                self.machine.attempts[key] = attempt
            attempt.delivered = left.delivered.get(0, 0)
            attempt.end_delivered = False
            self.mine[left.trial.trial_id] = attempt

    def settle(self, unsettled: Iterable[tuple[int, int]]) -> None:
        for key in unsettled:
            assert self.machine.attempts[key].end is not None
            self.unsettled[key] = 0

    def _launch(self, trial: Trial, level: int) -> None:
        self.machine.step()
        key = (trial.trial_id, trial.attempt)
        assert key not in self.machine.attempts, f"attempt {key} was started twice"
        assert all(a.trial_id != trial.trial_id for a in self.machine.running()), "two processes of one trial"
        now = self.machine.now
        for kept in self.machine.kept()[:1]:
            kept.kept_until = now
        attempt = Attempt(*key, dict(trial.config), level, now + self.machine.program.seconds(trial.config), began=now)
        self.machine.attempts[key] = self.mine[trial.trial_id] = attempt
        self.machine.starts.append(key)
        self.machine.most_at_once = max(self.machine.most_at_once, len(self.machine.occupied()))
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
                del self.mine[trial_id]
                billed = self.machine.terms is not None and attempt.started
                events.append(attempt.end._replace(bill_follows=billed) if billed else attempt.end)
                if billed:
                    self.unsettled[trial_id, attempt.number] = 0
        for key, told in list(self.unsettled.items()):
            attempt = self.machine.attempts[key]
            due = [bill for when, bill in self.machine.bills_of(attempt) if when <= self.machine.now]
            events += due[told:]
            self.unsettled[key] = len(due)
            if due and due[-1].final:
                del self.unsettled[key]
        return events

    def _next_time(self) -> float | None:
        """When something happens by itself: a worker is free, or there is a bill."""
        now, times = self.machine.now, []
        for key in self.unsettled:
            attempt = self.machine.attempts[key]
            times += [self.machine.freed_at(attempt), *(when for when, _bill in self.machine.bills_of(attempt))]
        return min((time for time in times if time > now), default=None)

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        self.machine.step()
        events = self._collect()
        if events or self._woken:
            self._woken = False
            return events
        # A clock that did not move would be asked for ever.
        until = None if timeout is None else self.machine.now + max(timeout, 1e-6)
        running = [a for a in self.mine.values() if a.end is None]
        attempt = min(running, key=lambda a: (a.due, a.trial_id), default=None)
        time = self._next_time()
        if time is not None and (attempt is None or time < attempt.due) and (until is None or time <= until):
            self.machine.now = time
            return self._collect()
        if attempt is None or (until is not None and attempt.due > until):
            assert until is not None, "the tuner waits for ever although nothing runs"
            self.machine.now = until
            return []
        self.machine.advance(attempt)
        return self._collect()

    def wake(self) -> None:
        self._woken = True

    def busy_workers(self) -> int:
        attempts = [self.machine.attempts[key] for key in self.unsettled]
        return len(self.mine) + sum(self.machine.freed_at(attempt) > self.machine.now for attempt in attempts)

    def wind_down(self) -> bool:
        assert not self.mine, "trials run on"
        self.machine.step()
        for attempt in self.machine.kept():
            attempt.kept_until = self.machine.now
        return not self.unsettled

    def committed_cost(self) -> float:
        if self.machine.terms is None:
            return 0.0
        billed = [bill.dollars or 0.0 for key, told in self.unsettled.items() for bill in self._told(key, told)]
        return (len(self.mine) + len(self.unsettled)) * self.machine.terms.dearest - sum(billed)

    def _told(self, key: tuple[int, int], told: int) -> list[Bill]:
        """The bill of an attempt that counts now, if one was told."""
        return [bill for _when, bill in self.machine.bills_of(self.machine.attempts[key])][max(0, told - 1) : told]

    def trial_cost_limit(self) -> float | None:
        return 0.0 if self.machine.terms is None else self.machine.terms.dearest

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
        if self.machine.is_dead:  # so nobody closes anything
            return
        terms = self.machine.terms
        for attempt in self.mine.values():
            if attempt.end is None and (stop_running or terms is None or not terms.outlives):
                attempt.end = End(attempt.trial_id, attempt.number, Outcome.interrupted, "the tuner ended")
        self.machine.note_ends()
        self.mine = {}
        self.unsettled = {}


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

    def confirm(self) -> None:
        if self.machine.owner is not self:
            raise Fenced("another tuner took the virtual experiment over")

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
