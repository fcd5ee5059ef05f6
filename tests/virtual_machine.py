"""A machine that exists only in memory: virtual time, trials that are lists of reports, and what their workers cost.

It is what outlives a tuner: the files of trials, the clock, the log, the bills.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.store.store import Entry
from cloudtune.trial import Bill, End, Outcome


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


@dataclass(frozen=True)
class Terms:
    """What a machine costs that is rented per attempt. Virtual seconds.

    Args:
        dollars: Per second from the start of an attempt until its worker is free, and while the worker is kept.
        longest: An attempt is stopped from outside after so long.
        frees_after: From the end of an attempt until its worker is free.
        bills_after: From then until there is a bill; and from the time the worker is no longer kept, the final one.
        keeps: A worker that is free is kept so long for a next attempt, unless it is given back.
        outlives: Whether attempts go on when their tuner dies.
    """

    dollars: float = 0.01
    longest: float = 1_000.0
    frees_after: float = 0.0
    bills_after: float = 0.0
    keeps: float = 0.0
    outlives: bool = False

    @property
    def dearest(self) -> float:
        """Dollars that an attempt may cost at most."""
        return self.dollars * (self.longest + self.frees_after + self.keeps)


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
    began: float = 0.0
    ended: float | None = None
    #: False: it is in the log only, the tuner died before it was started.
    started: bool = True
    #: When the worker that was kept after it was taken by a next attempt, or given back.
    kept_until: float | None = None


class Machine:
    """What outlives a tuner: the trials' files, the clock, the log, and a fuse that blows at a given step.

    Args:
        program: What trials do.
        terms: What their attempts cost; by default nothing is billed, and a worker is free when its trial has ended.
    """

    def __init__(self, program: Program, terms: Terms | None = None) -> None:
        self.program = program
        self.terms = terms
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

    @property
    def is_dead(self) -> bool:
        """Whether the tuner has died, and nobody has noticed yet."""
        return self.fuse is not None and self.steps >= self.fuse

    def tuner_died(self, downtime: float = 0.0) -> None:
        """The supervisor ends all trials that cannot go on alone; the lock is free. The others use the downtime."""
        if self.terms is None or not self.terms.outlives:
            for attempt in self.running():
                attempt.end = End(attempt.trial_id, attempt.number, Outcome.interrupted, "the tuner died")
        self.note_ends()
        self.owner = None
        self.fuse = None
        until = self.now + downtime
        while going := [attempt for attempt in self.running() if attempt.due <= until]:
            self.advance(min(going, key=lambda attempt: (attempt.due, attempt.trial_id)))
        self.now = until

    def note_ends(self) -> None:
        """Remembers when attempts ended."""
        for attempt in self.attempts.values():
            if attempt.end is not None and attempt.ended is None:
                attempt.ended = self.now

    def freed_at(self, attempt: Attempt) -> float:
        """When the worker of an ended attempt is free."""
        if attempt.ended is None:
            self.note_ends()
        assert attempt.ended is not None
        return attempt.ended + (self.terms.frees_after if self.terms else 0.0)

    def given_back_at(self, attempt: Attempt) -> float:
        """When nothing is kept for an ended attempt any more."""
        freed = self.freed_at(attempt)
        if attempt.kept_until is not None:
            return max(freed, attempt.kept_until)
        return freed + (self.terms.keeps if self.terms else 0.0)

    def occupied(self) -> list[Attempt]:
        """Attempts whose worker is not free now."""
        return [a for a in self.attempts.values() if a.end is None or (a.started and self.freed_at(a) > self.now)]

    def kept(self) -> list[Attempt]:
        """Attempts whose worker is free, and kept for a next one."""
        ended = [a for a in self.attempts.values() if a.end is not None and a.started]
        return [a for a in ended if self.freed_at(a) <= self.now < self.given_back_at(a)]

    def dollars(self, attempt: Attempt, until: float) -> float:
        """What an attempt costs from its start until then."""
        return 0.0 if self.terms is None else self.terms.dollars * (until - attempt.began)

    def bills_of(self, attempt: Attempt) -> list[tuple[float, Bill]]:
        """When there are which bills for an ended attempt: one, or one for the attempt and one with what was kept."""
        if self.terms is None or attempt.end is None or not attempt.started:
            return []
        key, freed, back = (attempt.trial_id, attempt.number), self.freed_at(attempt), self.given_back_at(attempt)
        seconds, kept = freed - attempt.began, back - freed
        first = Bill(*key, self.dollars(attempt, freed), seconds, 0.0, "virtual", final=not self.terms.keeps)
        bills = [(freed + self.terms.bills_after, first)]
        if self.terms.keeps:
            last = Bill(*key, self.dollars(attempt, back), seconds, kept, "virtual", final=True)
            bills.append((back + self.terms.bills_after, last))
        return bills

    def total_cost(self) -> float:
        """What all attempts have cost, when all have ended and nothing is kept."""
        return sum(self.dollars(a, self.given_back_at(a)) for a in self.attempts.values() if a.started)

    def worst_cost(self) -> float:
        """What all attempts so far cost at most, by what is certain now."""
        assert self.terms is not None
        started = [a for a in self.attempts.values() if a.started]
        over = [a for a in started if a.end is not None and self.given_back_at(a) <= self.now]
        spent = sum(self.dollars(a, self.given_back_at(a)) for a in over)
        return spent + (len(started) - len(over)) * self.terms.dearest

    def advance(self, attempt: Attempt) -> None:
        """Lets a trial do its next thing, at the time it is due."""
        self.now = max(self.now, attempt.due)
        config, program = attempt.config, self.program
        last = int(config.get("max_epochs", program.levels))
        if self.terms is not None and attempt.due > attempt.began + self.terms.longest:
            attempt.end = End(attempt.trial_id, attempt.number, Outcome.stopped, "it ran as long as it may")
            attempt.ended = attempt.began + self.terms.longest
            return
        attempt.level += 1
        if attempt.level == program.fails_at(config):
            attempt.end = End(attempt.trial_id, attempt.number, Outcome.failed, "exit code 1", 1)
        elif attempt.level > last:
            attempt.end = End(attempt.trial_id, attempt.number, Outcome.completed, "", 0)
        else:
            report = {"loss": program.value(config, attempt.level), "epoch": attempt.level}
            if self.terms is not None:
                report["st_worker_cost"] = self.dollars(attempt, attempt.due)
            attempt.reports.append(report)
            if program.keeps_checkpoints:
                self.checkpoints[attempt.trial_id] = attempt.level
            attempt.due += program.seconds(config)
        if attempt.end is not None:
            attempt.ended = attempt.due
