"""The faults in force, and the draws that decide when they fire."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cloudtune.localcloud.clock import CloudClock
from cloudtune.localcloud.fault import CALL_FAULTS, CLOUD_FAULTS, LOG_FAULTS, ONLY_FOR, Fault


@dataclass(frozen=True)
class FaultCase:
    """What a fault is matched against; names that do not apply are empty."""

    operation: str = ""
    job: str = ""
    resource: str = ""
    who: str = ""


@dataclass(frozen=True)
class Fired:
    """A fault that struck: for a job recorded when it does, not when the run begins."""

    fault_id: int
    kind: str
    at: float
    case: FaultCase
    run: int = 0


@dataclass(frozen=True)
class JobFault:
    """A fault in force that may strike a job.

    Args:
        number: Of the fault.
        fault: The fault.
        since: Cloud seconds since the cloud began, from which it is in force; may be to come.
    """

    number: int
    fault: Fault
    since: float


class _Rule:
    def __init__(self, fault: Fault, added: float) -> None:
        self.fault = fault
        self.since = max(fault.after, added)
        self.matches = 0
        self.fired = 0


_CALL_AND_CLOUD = {**CALL_FAULTS, **CLOUD_FAULTS}
_SPECIAL = re.compile(r"[*?\[]")
#: How many firings are remembered for :meth:`FaultPlan.fired`.
_KEPT = 100_000


class FaultPlan:
    """Thread-safe.

    Whether a fault with a probability strikes a job depends on the seed, the number of the fault, the job's name and
    run alone, whatever else goes on. What strikes calls depends on the seed and on how many calls matched before: the
    same calls in the same order are struck alike. With ``count`` or ``skip``, order matters for jobs too.
    """

    def __init__(self, clock: CloudClock, seed: int = 0) -> None:
        self._clock = clock
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: dict[int, _Rule] = {}
        self._next_id = 1
        self._fired: list[Fired] = []
        # For a quick "nothing to do" on the path of every call.
        self._active: frozenset[str] = frozenset()
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls ``listener``, which must not block, after each change of the faults in force; returns what ends it."""
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def end() -> None:
            with self._lock:
                self._listeners = [other for other in self._listeners if other is not listener]

        return end

    def add(self, fault: Fault) -> int:
        """Puts a fault in force; returns its number."""
        with self._lock:
            number = self._next_id
            self._next_id += 1
            self._rules = {**self._rules, number: _Rule(fault, self._clock.elapsed())}
            self._update()
        self._tell()
        return number

    def remove(self, number: int) -> bool:
        """Whether there was such a fault."""
        with self._lock:
            found = number in self._rules
            self._rules = {key: rule for key, rule in self._rules.items() if key != number}
            self._update()
        self._tell()
        return found

    def clear(self) -> None:
        """Nothing goes wrong any more. What fired stays on record."""
        with self._lock:
            self._rules = {}
            self._update()
        self._tell()

    def faults(self) -> dict[int, Fault]:
        """The faults in force, by number."""
        return {number: rule.fault for number, rule in self._rules.items()}

    def fired(self) -> list[Fired]:
        """What has struck, oldest first. A fault of a job whose moment never came is not among it."""
        with self._lock:
            return list(self._fired)

    def any_of(self, kinds: Mapping[str, str]) -> bool:
        """Whether any fault of these kinds is in force: cheap, for hot paths."""
        return not self._active.isdisjoint(kinds)

    def for_call(self, case: FaultCase) -> dict[str, Fault]:
        """The faults that strike this call, by kind; the first of a kind counts. Counts the match."""
        return self._draw(_CALL_AND_CLOUD, case)

    def for_cloud(self) -> dict[str, Fault]:
        """The faults that strike the cloud now, whatever happens in it: those without patterns, by kind."""
        return self._draw(CLOUD_FAULTS, FaultCase())

    def for_logs(self, case: FaultCase) -> dict[str, Fault]:
        """The faults that strike this delivery of lines, by kind."""
        return self._draw(LOG_FAULTS, case)

    def for_job(self, kinds: Collection[str], job: str) -> list[JobFault]:
        """The faults of these kinds that may strike a job, now or later. Draws nothing; counts no match."""
        if self._active.isdisjoint(kinds):
            return []
        return [
            JobFault(number, rule.fault, rule.since)
            for number, rule in self._rules.items()
            if rule.fault.kind in kinds and _glob(job, rule.fault.job)
        ]

    def strikes(self, number: int, job: str, run: int) -> bool:
        """Whether a fault of :meth:`for_job` strikes a run of the job, runs counting from 0. Counts the match.

        To be asked once per fault and run, when it is about to strike. A fault that is no longer in force does not.
        """
        with self._lock:
            rule = self._rules.get(number)
            return rule is not None and self._fires(number, rule, FaultCase(job=job), run)

    def _draw(self, kinds: Mapping[str, str], case: FaultCase) -> dict[str, Fault]:
        if self._active.isdisjoint(kinds):
            return {}
        elapsed = self._clock.elapsed()
        struck: dict[str, Fault] = {}
        with self._lock:
            for number, rule in self._rules.items():
                fault = rule.fault
                if fault.kind not in kinds or fault.kind in struck or not _matches(fault, case, elapsed):
                    continue
                if self._fires(number, rule, case, run=None):
                    struck[fault.kind] = fault
        return struck

    def _fires(self, number: int, rule: _Rule, case: FaultCase, run: int | None) -> bool:
        """Whether a rule that matches fires. With the lock held."""
        fault = rule.fault
        rule.matches += 1
        if rule.matches <= fault.skip or (fault.count is not None and rule.fired >= fault.count):
            return False
        drawn = f"{number}/{case.job}/{run}" if run is not None else f"{number}//{rule.matches}"
        if fault.probability < 1 and _uniform(f"{self._seed}/{drawn}") >= fault.probability:
            return False
        rule.fired += 1
        if len(self._fired) < _KEPT:
            self._fired.append(Fired(number, fault.kind, self._clock.time(), case, run or 0))
        return True

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _update(self) -> None:
        self._active = frozenset(rule.fault.kind for rule in self._rules.values())


def _matches(fault: Fault, case: FaultCase, elapsed: float) -> bool:
    return (
        fault.after <= elapsed <= fault.until
        and _glob(case.operation, fault.operation)
        and _makes_sense(fault.kind, case.operation)
        and _glob(case.job, fault.job)
        and _glob(case.resource, fault.resource)
        and _glob(case.who, fault.who)
    )


def _makes_sense(kind: str, operation: str) -> bool:
    return kind not in ONLY_FOR or any(fnmatchcase(operation, pattern) for pattern in ONLY_FOR[kind])


def _glob(name: str, pattern: str) -> bool:
    # fnmatch keeps few compiled patterns, and a plan may have hundreds of plain names.
    return pattern == "*" or (fnmatchcase(name, pattern) if _SPECIAL.search(pattern) else name == pattern)


def _uniform(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "big") / 2**56
