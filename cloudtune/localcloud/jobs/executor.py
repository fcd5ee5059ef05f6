"""The executor: really runs the training jobs of a cloud, each in a thread of its own."""

from __future__ import annotations

import itertools
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.job_life import JobLife
from cloudtune.localcloud.jobs.slots import Slots
from cloudtune.localcloud.sandbox.open_sandbox import open_sandbox

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
        self.slots = Slots(platform.settings.max_running_jobs)
        self._platform = platform
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._lives: dict[str, JobLife] = {}
        self._sandbox: Sandbox | None = None
        self._folder: str | None = None
        self._numbers = itertools.count(1)
        self._clusters = itertools.count()
        self._closed = False

    def prepare(self) -> None:
        """Opens the sandbox ahead of the first job. Raises what the sandbox raises where there can be none."""
        self.sandbox()

    def start(self, job: TrainingJob) -> None:
        """Begins the life of a job that was just created, and returns at once."""
        life = JobLife(self._platform, self, job)
        with self._lock:
            if self._closed:
                life.orders.close()
                return
            self._lives[job.arn] = life
        life.thread.start()

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
            folder, self._folder = self._folder, None
        if sandbox is not None:
            sandbox.close()
        if folder is not None:
            job_files.remove(folder)

    # For the lives of jobs

    def sandbox(self) -> Sandbox:
        """Where containers run."""
        with self._making:
            if self._sandbox is None:
                self._sandbox = open_sandbox(self._platform.settings.sandbox)
            return self._sandbox

    def new_folder(self) -> str:
        """An empty folder for one run of a job. Its path is short, since sockets in it may not have long ones."""
        with self._making:
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix=f"cloudtune-{self._platform.id}-", dir=self._place())
            path = os.path.join(self._folder, str(next(self._numbers)))
            os.mkdir(path, 0o700)
            return path

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

    def _place(self) -> str | None:
        folder = self._platform.settings.folder
        if folder is not None:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            folder = os.path.abspath(folder)
        return folder
