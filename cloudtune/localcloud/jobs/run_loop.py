"""From the start of a run's containers to their end: output, checkpoints, limits, signals, faults."""

from __future__ import annotations

import enum
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs.failure_reasons import JobFailed, log_too_long
from cloudtune.localcloud.jobs.timers import Timers

if TYPE_CHECKING:
    from cloudtune.localcloud.fault import Fault
    from cloudtune.localcloud.jobs.host import Host
    from cloudtune.localcloud.jobs.metric_definitions import MetricDefinitions
    from cloudtune.localcloud.jobs.orders import Orders
    from cloudtune.localcloud.jobs.run_faults import RunFaults
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.jobs.volume_guard import VolumeGuard
    from cloudtune.localcloud.platform import Platform

#: Real seconds from one delivery of lines to CloudWatch to the next; the first goes at once.
_FLUSH_EVERY = 0.25


class Cause(enum.Enum):
    """What ended a run. The first counts."""

    exited = enum.auto()
    stopped = enum.auto()
    max_runtime = enum.auto()
    max_wait = enum.auto()
    interrupted = enum.auto()
    interrupted_without_notice = enum.auto()
    internal_error = enum.auto()
    over_limit = enum.auto()


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Args:
        cause: What ended it.
        failure_reason: Of a container that failed, or of a limit that the job broke.
        sync_ceased: Whether checkpoints are not to be uploaded any more.
    """

    cause: Cause
    failure_reason: str | None = None
    sync_ceased: bool = False


@dataclass(frozen=True)
class Limits:
    """Cloud seconds from the containers' start until the job is ended; None: never."""

    max_runtime: float | None
    max_wait: float | None


class _SyncEnds(Exception):
    """A pass over the checkpoints is not to go on."""


class RunLoop:
    """Drives the containers of a run until the last has ended. Waits for events; looks at nothing in between.

    Args:
        platform: The cloud.
        job: Whose run.
        hosts: With containers that were just started.
        orders: What others want of the run.
        metrics: Reads the output of the first host.
        guard: Of the job's volume.
        faults: Of this run.
        limits: Of time.
    """

    def __init__(
        self,
        platform: Platform,
        job: TrainingJob,
        hosts: Sequence[Host],
        orders: Orders,
        metrics: MetricDefinitions,
        guard: VolumeGuard,
        faults: RunFaults,
        limits: Limits,
    ) -> None:
        self._settings = platform.settings
        self._clock = platform.clock
        self._job = job
        self._hosts = hosts
        self._orders = orders
        self._metrics = metrics
        self._guard = guard
        self._faults = faults
        self._limits = limits
        self._timers = Timers()
        self._selector = selectors.PollSelector()
        self._bytes = 0
        self._flushed = 0.0
        self._cause: Cause | None = None
        self._failure_reason: str | None = None
        self._sync_ceased = False
        self._is_killed = False
        self._on: Mapping[str, Callable[[], None]] = {
            "flush": self._flush,
            "sync": self._sync,
            "volume": self._measure,
            "max_runtime": lambda: self._end(Cause.max_runtime, grace=self._settings.stop_grace),
            "max_wait": lambda: self._end(Cause.max_wait, grace=self._settings.stop_grace),
            "fault": self._strike,
            "terminate": self._terminate,
            "kill": self._kill,
        }

    def run(self) -> RunEnd:
        """Returns when all containers have ended and all of their output is read. Raises Killed."""
        with self._selector, self._faults.while_containers_run(self._orders.wake):
            self._begin()
            while any(host.exit_code is None for host in self._hosts):
                self._turn(self._timers.timeout())
        try:
            if self._failure_reason is None:
                self._guard.check()
        except JobFailed as error:
            self._fail(str(error))
        self._flush()
        return RunEnd(self._cause or Cause.exited, self._failure_reason, self._sync_ceased)

    def _turn(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            key.data()
        for name in sorted(self._timers.due(), key="sync".__eq__):  # what may take long comes last
            self._on[name]()

    def _begin(self) -> None:
        self._selector.register(self._orders, selectors.EVENT_READ, self._look_at_orders)
        for host in self._hosts:
            assert host.container is not None
            self._selector.register(host.output, selectors.EVENT_READ, partial(self._read, host))
            self._selector.register(host.container, selectors.EVENT_READ, partial(self._look_at, host))
        for name, seconds in (("max_runtime", self._limits.max_runtime), ("max_wait", self._limits.max_wait)):
            if seconds is not None:
                self._timers.set(name, self._clock.real(seconds))
        if any(host.sync for host in self._hosts):
            self._timers.set("sync", self._settings.sync_interval)
        if self._guard.pause is not None:
            self._timers.set("volume", self._guard.pause)
        self._look_at_orders()

    def _look_at_orders(self) -> None:
        self._orders.raise_if_killed()
        if self._job.status == "Stopping" and self._cause is None:
            slow = self._faults.ask("slow_stop")
            self._end(Cause.stopped, grace=self._settings.stop_grace, delay=slow.seconds if slow else 0.0)
        notice = self._orders.take_interruption()
        if notice is not None:
            self._interrupt(notice)
        self._expect_faults()

    def _expect_faults(self) -> None:
        """Sets the time of the next fault; others may be in force than before."""
        seconds = self._faults.next_in()
        if seconds is None:
            self._timers.drop("fault")
        else:
            self._timers.set("fault", self._clock.real(seconds))

    def _strike(self) -> None:
        for rule in self._faults.due():
            # What would change nothing any more is not drawn: it has not fired.
            if self._would_matter(rule.fault) and self._faults.strikes(rule):
                self._suffer(rule.fault)
        self._expect_faults()

    def _would_matter(self, fault: Fault) -> bool:
        if fault.kind == "sync_ceases":
            return not self._sync_ceased
        if fault.kind == "console_stop":
            return self._job.status == "InProgress"
        if fault.kind == "spot_interruption" and fault.notice:
            return self._cause is None
        return not self._is_killed

    def _suffer(self, fault: Fault) -> None:
        if fault.kind == "sync_ceases":
            self._cease_to_sync()
        elif fault.kind == "console_stop":
            self._stop_from_console()
        elif fault.kind == "spot_interruption":
            self._interrupt(fault.notice)
        else:
            self._end(Cause.internal_error)

    def _read(self, host: Host) -> None:
        if host.output < 0:  # it was read to its end meanwhile
            return
        data = host.read()
        if data is None:
            return
        if not data:
            self._selector.unregister(host.output)
            host.close_output()
        self._bytes += len(data)
        self._log(host, data)
        if self._bytes > self._settings.log_limit:
            self._fail(log_too_long(self._settings.log_limit))

    def _log(self, host: Host, data: bytes) -> None:
        if self._bytes > self._settings.log_limit:
            return
        lines = host.log.write(data)
        if lines and host is self._hosts[0]:
            self._metrics.search(lines, self._clock.time())
        if host.log.waiting:
            self._timers.set_unless("flush", self._flushed + _FLUSH_EVERY - time.monotonic())

    def _look_at(self, host: Host) -> None:
        """The container has ended: what it wrote is still in the pipe."""
        assert host.container is not None
        code = host.container.exit_code()
        if code is None:
            return
        self._selector.unregister(host.container)
        while host.output >= 0 and (data := host.read()):
            self._bytes += len(data)
            self._log(host, data)
        if host.output >= 0:
            self._selector.unregister(host.output)
            host.close_output()
            self._log(host, b"")
        host.exit_code = code
        if code != 0 and self._cause is None:
            # The job fails as a whole with its first host; the others lose their instances.
            self._cause = Cause.exited
            self._failure_reason = host.failure_reason()
            self._kill()

    def _stop_from_console(self) -> None:
        self._job.want_stop()
        self._look_at_orders()

    def _interrupt(self, notice: bool) -> None:
        if notice:
            self._end(Cause.interrupted, grace=self._settings.spot_notice)
        else:
            self._end(Cause.interrupted_without_notice)

    def _fail(self, reason: str) -> None:
        if self._failure_reason is None:
            self._failure_reason = reason
        self._end(Cause.over_limit)

    def _end(self, cause: Cause, grace: float | None = None, delay: float = 0.0) -> None:
        """Begins to end the run, unless that has begun.

        Args:
            cause: Why.
            grace: Cloud seconds from SIGTERM to SIGKILL; None: SIGKILL at once, also where another end has begun.
            delay: Cloud seconds until SIGTERM.
        """
        if self._cause is None:
            self._cause = cause
            if grace is not None:
                self._timers.set("kill", self._clock.real(delay + grace))
                self._timers.set("terminate", self._clock.real(delay))
        if grace is None:
            self._kill()

    def _terminate(self) -> None:
        for host in self._hosts:
            if host.container is not None and host.exit_code is None:
                host.container.terminate()

    def _kill(self) -> None:
        self._is_killed = True
        for host in self._hosts:
            if host.container is not None and host.exit_code is None:
                host.container.kill()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        for host in self._hosts:
            host.log.flush()

    def _sync(self) -> None:
        try:
            for host in self._hosts:
                if host.sync is not None:
                    host.sync.upload_changed(self._go_on_meanwhile)
        except _SyncEnds:
            return
        self._timers.set("sync", self._settings.sync_interval)

    def _go_on_meanwhile(self) -> None:
        """While a large file goes up, output is read, and orders, limits and faults have their way."""
        self._turn(0.0)
        if self._sync_ceased or all(host.exit_code is not None for host in self._hosts):
            raise _SyncEnds

    def _cease_to_sync(self) -> None:
        self._sync_ceased = True
        self._timers.drop("sync")

    def _measure(self) -> None:
        try:
            self._guard.check()
        except JobFailed as error:
            self._fail(str(error))
        if self._guard.pause is not None:
            self._timers.set("volume", self._guard.pause)
