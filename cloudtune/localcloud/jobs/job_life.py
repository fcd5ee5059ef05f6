"""The life of a training job, from its creation to its last state, over all runs of its containers.

Counted as training time, and billed, is what lies between the beginning of a run's download and the end of its upload;
TrainingStartTime is the beginning of the first download. Outputs are uploaded after every end: the data of all jobs,
the model of completed and stopped ones.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.billing import BillingMeter
from cloudtune.localcloud.jobs.failure_reasons import (
    CAPACITY,
    INTERNAL_ERROR,
    JobFailed,
    JobStopped,
    cannot_start,
    max_runtime_exceeded,
    max_wait_exceeded,
    of_os_error,
    pending_too_long,
)
from cloudtune.localcloud.jobs.host import Host
from cloudtune.localcloud.jobs.inputs import InputChannels
from cloudtune.localcloud.jobs.metric_definitions import MetricDefinitions
from cloudtune.localcloud.jobs.ml_folder import host_groups
from cloudtune.localcloud.jobs.orders import Killed, Orders
from cloudtune.localcloud.jobs.outputs import Outputs
from cloudtune.localcloud.jobs.run_faults import RunFaults
from cloudtune.localcloud.jobs.run_loop import Cause, Limits, RunEnd, RunLoop
from cloudtune.localcloud.jobs.timers import LONGEST_WAIT
from cloudtune.localcloud.jobs.volume_guard import VolumeGuard, volume_of
from cloudtune.localcloud.sandbox.open_sandbox import SandboxUnavailable
from cloudtune.localcloud.sandbox.sandbox import CommandNotRunnable, ContainerStartFailed

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.executor import Executor
    from cloudtune.localcloud.jobs.slots import Slot
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ending:
    """The last state of a job."""

    status: str
    secondary: str
    message: str
    failure_reason: str | None = None
    model_artifacts: str | None = None

    @classmethod
    def failed(cls, reason: str) -> _Ending:
        return cls("Failed", "Failed", "Training job failed", reason)

    @classmethod
    def stopped(cls, stopped: JobStopped) -> _Ending:
        return cls("Stopped", stopped.secondary, stopped.message)


@dataclass(frozen=True)
class _Again:
    """The job goes on with another run, after so many cloud seconds."""

    delay: float


class JobLife:
    """One job and its thread.

    Args:
        platform: The cloud.
        executor: Gives sandbox, folders and slots.
        job: Just created.
    """

    def __init__(self, platform: Platform, executor: Executor, job: TrainingJob) -> None:
        self.job = job
        self.began = platform.clock.time()
        self.orders = Orders()
        self.thread = threading.Thread(target=self._run_thread, name=f"job {job.name}", daemon=True)
        #: Of the run that goes on.
        self.hosts: list[Host] = []
        #: Whether containers run.
        self.is_running = False
        self._platform = platform
        self._executor = executor
        self._settings = platform.settings
        self._clock = platform.clock
        self._meter = BillingMeter()
        self._retries = int((job.request.get("RetryStrategy") or {}).get("MaximumRetryAttempts") or 0)
        self._epoch = 0
        #: When the containers of the run ended.
        self._was_stopping = False
        self._faults = RunFaults(platform, job)

    # The thread

    def _run_thread(self) -> None:
        slot = self._executor.slots.ask(self.orders.wake)
        try:
            self._finish(self._live(slot))
        except Killed:
            _log.debug("Training job %s was left as it is: the cloud lets go of it.", self.job.name)
        except Exception:  # noqa: BLE001  # whatever it is, the job must not stay in progress for ever
            _log.exception("Training job %s ends because of a defect of the local cloud.", self.job.name)
            if not self.job.is_terminal:
                self._finish(_Ending.failed(INTERNAL_ERROR))
        finally:
            self._executor.slots.give_back(slot)
            self.orders.close()
            self._executor.ended(self)

    def _live(self, slot: Slot) -> _Ending:
        try:
            self._wait_for(slot)
            delay = self._start_delay()
            while isinstance(after := self._run(delay), _Again):
                delay = after.delay
            return after
        except JobStopped as stopped:
            return _Ending.stopped(stopped)
        except JobFailed as failed:
            return _Ending.failed(str(failed))
        except OSError as error:
            _log.warning("Training job %s fails: %s", self.job.name, error)
            return _Ending.failed(of_os_error(error))

    def _finish(self, ending: _Ending) -> None:
        discount = self._settings.spot_discount if self.job.is_spot else 0.0
        wanted = ending.status == "Completed" and not (self.job.keep_alive_seconds and self._faults.ask("no_warm_pool"))
        with self._platform.warm_pools.keep(self.job, wanted) as warm_pool:
            self.job.finish(
                ending.status,
                ending.secondary,
                ending.message,
                ending.failure_reason,
                model_artifacts=ending.model_artifacts,
                warm_pool=warm_pool,
                **self._meter.bill(self._clock.time(), discount),
            )

    # Before the containers

    def _wait_for(self, slot: Slot) -> None:
        if slot.is_granted:
            return
        self.job.move("Pending", "Training job waiting for capacity")
        longest = (self.job.request.get("StoppingCondition") or {}).get("MaxPendingTimeInSeconds")
        until = None if longest is None else self.job.created + longest
        while True:
            self._check()  # it forgets the wakes so far: what they were about has to be looked at after it
            if slot.is_granted:
                break
            if until is not None and self._clock.time() >= until:
                raise pending_too_long()
            self._wait(until)
        self.job.move("Starting", "Starting the training job")

    def _start_delay(self) -> float:
        return (
            self._settings.warm_start_delay if self._platform.warm_pools.take(self.job) else self._settings.start_delay
        )

    def _pause(self, seconds: float) -> None:
        """Lets cloud seconds pass, unless the job is ended before."""
        until = self._clock.time() + seconds
        self._check()
        while self._clock.time() < until:
            self._wait(until)
            self._check()

    def _wait(self, until: float | None) -> None:
        """Blocks until woken, until a cloud time, or until the longest wait is over."""
        ends = [at for at in (until, self._longest_wait()) if at is not None]
        seconds = self._clock.real(max(0.0, min(ends) - self._clock.time())) if ends else LONGEST_WAIT
        self.orders.wait(min(seconds, LONGEST_WAIT))

    def _check(self) -> None:
        """Raises if the job is to end, while no container of it runs."""
        self.orders.raise_if_killed()
        if self.job.status == "Stopping":
            raise JobStopped
        longest = self._longest_wait()
        if longest is not None and self._clock.time() >= longest:
            raise max_wait_exceeded()

    def _longest_wait(self) -> float | None:
        seconds = (self.job.request.get("StoppingCondition") or {}).get("MaxWaitTimeInSeconds")
        return self.job.created + seconds if seconds is not None and self.job.is_spot else None

    # One run

    def _run(self, delay: float) -> _Ending | _Again:
        faults = self._faults = RunFaults(self._platform, self.job)
        self.orders.take_interruption()  # one that came too late for the last run
        self._pause(delay)
        if self.job.state.secondary == "Interrupted":
            self.job.move("Starting", "Starting the training job")
        if slow := faults.ask("slow_start"):
            self._pause(slow.seconds)
        if faults.ask("capacity"):
            raise JobFailed(CAPACITY)
        root = self._executor.folders.new()
        hosts = self.hosts = []
        try:
            self._download(root, hosts)
            end = self._train(root, hosts)
            return self._after(end, root, hosts)
        finally:
            self._meter.pause(self._clock.time())
            self.is_running = False
            for host in hosts:
                host.close()
            self._platform.identities.revoke(self.job)
            job_files.remove(root)

    def _download(self, root: str, hosts: list[Host]) -> None:
        now = self._clock.time()
        self._meter.begin(now)
        self.job.move("Downloading", "Downloading input data", training_start=self.job.state.training_start or now)
        guard = self._guard(root)

        def between() -> None:
            self._check()
            guard.check_if_due()

        channels = InputChannels(self._platform.storage, self.job, between)
        names = list(host_groups(self.job))
        # Streams of two runs must not meet, however short the first one was.
        self._epoch = max(int(now), self._epoch + 1)
        for number, name in enumerate(names):
            folder = os.path.join(root, str(number + 1))
            os.mkdir(folder)
            host = Host(self._platform, self.job, name, folder, f"{self.job.name}/{name}-{self._epoch}")
            hosts.append(host)
            host.ml.make()
            host.ml.write_config(self.job, name, names)
            channels.bring(name, host.ml.channel)
            if host.sync is not None:
                host.sync.download(between)
        guard.check()
        self._check()

    def _train(self, root: str, hosts: list[Host]) -> RunEnd:
        addresses = self._executor.addresses([host.name for host in hosts])
        try:
            sandbox = self._executor.sandbox()
            for host in hosts:
                host.start(sandbox, addresses)
        except CommandNotRunnable as error:
            raise JobFailed(cannot_start(str(error))) from error
        except (ContainerStartFailed, SandboxUnavailable) as error:
            _log.warning("No container for training job %s: %s", self.job.name, error)
            raise JobFailed(f"{INTERNAL_ERROR} {error}") from error
        self.is_running = True
        self.job.move("Training", "Training image download completed. Training in progress.")
        definitions = (self.job.request.get("AlgorithmSpecification") or {}).get("MetricDefinitions") or ()
        metrics = MetricDefinitions(definitions, self.job.record_metric)
        loop = RunLoop(
            self._platform, self.job, hosts, self.orders, metrics, self._guard(root), self._faults, self._limits()
        )
        try:
            return loop.run()
        finally:
            self.is_running = False

    def _after(self, end: RunEnd, root: str, hosts: list[Host]) -> _Ending | _Again:
        """What the end of the containers means for the job."""
        self._was_stopping = self.job.status == "Stopping"
        instance_is_gone = end.cause in {Cause.internal_error, Cause.interrupted_without_notice}
        if not (instance_is_gone or end.sync_ceased):
            self._upload_checkpoints(hosts, end.failure_reason is not None)
        stopping = self.job.status == "Stopping"
        if stopping and (hang := self._faults.ask("hang_stopping")):
            self._hang(hang.seconds)
        if end.failure_reason is None and not stopping:
            if end.cause is Cause.internal_error:
                return self._retry()
            if end.cause in {Cause.interrupted, Cause.interrupted_without_notice}:
                return self._go_on_elsewhere()
        return self._end(end, root, hosts, instance_is_gone)

    def _upload_checkpoints(self, hosts: list[Host], has_failed: bool) -> None:
        for host in hosts:
            try:
                if host.sync is not None:
                    host.sync.upload_rest(self._go_on_uploading)
            except (JobFailed, JobStopped, OSError) as error:
                if not has_failed:
                    raise
                _log.warning("The last checkpoints of training job %s are lost: %s", self.job.name, error)

    def _end(self, end: RunEnd, root: str, hosts: list[Host], instance_is_gone: bool) -> _Ending:
        if end.failure_reason is not None:
            ending = _Ending.failed(end.failure_reason)
        elif end.cause is Cause.max_runtime:
            ending = _Ending.stopped(max_runtime_exceeded())
        elif end.cause is Cause.max_wait:
            ending = _Ending.stopped(max_wait_exceeded())
        elif end.cause is Cause.exited:
            ending = _Ending("Completed", "Completed", "Training job completed")
        else:
            ending = _Ending.stopped(JobStopped())
        if instance_is_gone:
            return ending
        try:
            return self._upload(ending, root, hosts)
        except (JobFailed, JobStopped, OSError) as error:
            if ending.status == "Failed":  # what failed first is the reason
                _log.warning("The output of training job %s could not be uploaded: %s", self.job.name, error)
                return ending
            raise

    def _upload(self, ending: _Ending, root: str, hosts: list[Host]) -> _Ending:
        self.job.move("Uploading", "Uploading generated training model")
        folders = [host.ml.path for host in hosts]
        largest = volume_of(self.job, self._settings)
        outputs = Outputs(self._platform.storage, self.job.request, folders, largest, self._go_on_uploading)
        outputs.upload_data()
        if ending.status == "Failed":
            return ending
        artifacts = outputs.upload_model()
        return _Ending(ending.status, ending.secondary, ending.message, model_artifacts=artifacts)

    def _go_on_uploading(self) -> None:
        """Called while files go up. What a job saved when it was told to stop goes up; another stop ends the upload."""
        self.orders.raise_if_killed()
        if self.job.status == "Stopping" and not self._was_stopping:
            raise JobStopped

    def _retry(self) -> _Again:
        if self._retries == 0:
            raise JobFailed(INTERNAL_ERROR)
        self._retries -= 1
        self.job.run += 1
        self.job.move("Restarting", "Restarting the training job after an internal error")
        return _Again(self._settings.start_delay)

    def _go_on_elsewhere(self) -> _Again:
        self.job.run += 1
        self.job.move("Interrupted", "Training job interrupted: its spot instances were taken away")
        return _Again(self._settings.spot_restart_delay)

    def _hang(self, seconds: float) -> None:
        until = self._clock.time() + seconds
        while (left := until - self._clock.time()) > 0:
            self.orders.wait(min(self._clock.real(left), LONGEST_WAIT))
            self.orders.raise_if_killed()

    def _limits(self) -> Limits:
        """Of the rest of the job's time: it counts over all runs."""
        now = self._clock.time()
        longest = (self.job.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds")
        wait = self._longest_wait()
        return Limits(
            max_runtime=None if longest is None else longest - self._meter.seconds(now),
            max_wait=None if wait is None else wait - now,
        )

    def _guard(self, root: str) -> VolumeGuard:
        return VolumeGuard(root, volume_of(self.job, self._settings))
