"""The executor: really runs the training jobs of a cloud, each in a thread of its own."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs.failure_reasons import INTERNAL_ERROR, of_os_error
from cloudtune.localcloud.jobs.job_folders import JobFolders
from cloudtune.localcloud.jobs.job_life import JobLife
from cloudtune.localcloud.jobs.slots import Slots
from cloudtune.localcloud.sandbox.open_sandbox import SandboxUnavailable, open_sandbox

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform
    from cloudtune.localcloud.sandbox.sandbox import Sandbox

_log = logging.getLogger(__name__)


class Executor:
    """Thread-safe. Sandbox and folder are made for the first job.

    Args:
        platform: The cloud; its clock, faults, settings, storage and logs are used once jobs run.
    """

    def __init__(self, platform: Platform) -> None:
        self.folders = JobFolders(platform.settings.folder, platform.id)
        self.slots = Slots(platform.settings.max_running_jobs)
        self._platform = platform
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._lives: dict[str, JobLife] = {}
        self._sandbox: Sandbox | None = None
        self._clusters = itertools.count()
        self._closed = False

    def prepare(self) -> None:
        """Opens sandbox and folder ahead of the first job. What is wrong with them is logged, and told by each job."""
        try:
            self.folders.open()
            self.sandbox()
        except (SandboxUnavailable, OSError) as error:
            _log.warning("jobs will not run: %s", error)

    def start(self, job: TrainingJob) -> None:
        """Begins the life of a job that was just created, and returns at once."""
        try:
            life = JobLife(self._platform, self, job)
        except OSError as error:  # too many open files
            _log.warning("Training job %s cannot start: %s", job.name, error)
            job.finish("Failed", "Failed", "Training job failed", of_os_error(error))
            return
        with self._lock:
            if not self._closed:
                self._lives[job.arn] = life
                try:
                    life.thread.start()
                    return
                except RuntimeError as error:  # too many threads
                    _log.warning("Training job %s cannot start: %s", job.name, error)
                    del self._lives[job.arn]
                    job.finish("Failed", "Failed", "Training job failed", INTERNAL_ERROR)
        life.orders.close()

    def stop(self, job: TrainingJob) -> None:
        """The job's record says that somebody stops it: its thread looks at it. Nothing happens if it has ended."""
        life = self._life(job)
        if life is not None:
            life.orders.wake()

    def interrupt(self, job: TrainingJob, notice: bool = True) -> bool:
        """Takes the spot instances of a job away.

        Args:
            job: A spot job.
            notice: Whether it is told before.

        Returns:
            False if no container of it runs.
        """
        life = self._life(job)
        if life is None or not life.is_running or not job.is_spot:
            return False
        life.orders.interrupt(notice)
        return True

    def running(self) -> list[tuple[str, int, float, str]]:
        """Of every job that has not ended: name, run, cloud seconds since its start, and secondary status."""
        with self._lock:
            lives = list(self._lives.values())
        now = self._platform.clock.time()
        return [(life.job.name, life.job.run, now - life.began, life.job.state.secondary) for life in lives]

    def kill_all(self) -> None:
        """Kills all jobs without a word in their records; returns when their threads and folders are gone."""
        with self._lock:
            lives = list(self._lives.values())
        for life in lives:
            life.orders.kill()
        for life in lives:
            if life.thread is not threading.current_thread():
                life.thread.join()

    def close(self) -> None:
        """Kills all jobs and lets go of everything. Jobs that had not ended stay as they are in their records."""
        with self._lock:
            self._closed = True
        self.kill_all()
        with self._making:
            sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            sandbox.close()
        self.folders.close()

    # For the lives of jobs

    def sandbox(self) -> Sandbox:
        """Where containers run."""
        with self._making:
            if self._sandbox is None:
                self._sandbox = open_sandbox(self._platform.settings.sandbox)
            return self._sandbox

    def addresses(self, hosts: Sequence[str]) -> dict[str, str]:
        """Loopback addresses for the hosts of a job: others for every job, so that two can use the same port."""
        cluster = next(self._clusters)
        if len(hosts) == 1 or not sys.platform.startswith("linux"):  # elsewhere only 127.0.0.1 is there
            return dict.fromkeys(hosts, "127.0.0.1")
        second, third = 64 + cluster // 256 % 128, cluster % 256
        return {host: f"127.{second}.{third}.{number}" for number, host in enumerate(hosts, 1)}

    def ended(self, life: JobLife) -> None:
        """The thread of a job has nothing more to do."""
        with self._lock:
            self._lives.pop(life.job.arn, None)

    def _life(self, job: TrainingJob) -> JobLife | None:
        with self._lock:
            return self._lives.get(job.arn)
