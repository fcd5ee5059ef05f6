"""The faults of one run of a training job: which strike, and when. Each fault is drawn once at most in a run.

A fault is drawn when it is about to strike, not before. So it need not be there when the run begins, can still be taken
back until its moment, and counts as fired only if it struck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.fault_plan import JobFault

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform


class RunFaults:
    """For the thread of the job.

    Args:
        platform: The cloud.
        job: About to begin its present run.
    """

    def __init__(self, platform: Platform, job: TrainingJob) -> None:
        self._plan = platform.faults
        self._clock = platform.clock
        self._job = job
        self._run = job.run
        self._started = float("inf")
        self._done: set[int] = set()
        #: Kinds that strike by themselves while containers run; the others are asked for.
        self._timed = frozenset(
            {
                "console_stop",
                "job_internal_error",
                *(["spot_interruption"] if job.is_spot else []),
                *(["sync_ceases"] if job.request.get("CheckpointConfig") else []),
            }
        )

    def ask(self, kind: str) -> Fault | None:
        """The fault of this kind that strikes now. To be asked when it would make a difference."""
        now = self._clock.elapsed()
        for rule in self._undone({kind}):
            if rule.since <= now <= rule.fault.until and self.strikes(rule):
                return rule.fault
        return None

    @contextmanager
    def while_containers_run(self, wake: Callable[[], None]) -> Iterator[None]:
        """From the start of the containers to their end: ``wake`` is called whenever other faults are in force."""
        self._started = self._clock.elapsed()
        end = self._plan.on_change(wake)
        try:
            yield
        finally:
            end()

    def next_in(self) -> float | None:
        """Cloud seconds until the next moment of :meth:`due`; None if there is none, as things stand."""
        moments = [self._moment(rule) for rule in self._coming()]
        return max(0.0, min(moments) - self._clock.elapsed()) if moments else None

    def due(self) -> list[JobFault]:
        """The faults whose moment has come, in this order; each of them once. They are not drawn yet."""
        now = self._clock.elapsed()
        found = sorted((rule for rule in self._coming() if self._moment(rule) <= now), key=self._moment)
        self._done |= {rule.number for rule in found}
        return found

    def strikes(self, rule: JobFault) -> bool:
        """Draws."""
        self._done.add(rule.number)
        return self._plan.strikes(rule.number, self._job.name, self._run)

    def _coming(self) -> list[JobFault]:
        return [rule for rule in self._undone(self._timed) if self._moment(rule) <= rule.fault.until]

    def _undone(self, kinds: frozenset[str] | set[str]) -> list[JobFault]:
        return [rule for rule in self._plan.for_job(kinds, self._job.name) if rule.number not in self._done]

    def _moment(self, rule: JobFault) -> float:
        return max(self._started, rule.since) + rule.fault.seconds
