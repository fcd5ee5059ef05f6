"""A local cloud without its doors: state, services, jobs. The server and the in-process form both hold one."""

from __future__ import annotations

import secrets

from cloudtune.localcloud.clock import CloudClock
from cloudtune.localcloud.fault_plan import FaultPlan
from cloudtune.localcloud.gate.call_log import CallLog
from cloudtune.localcloud.gate.identities import Identities
from cloudtune.localcloud.gate.seams import Seams
from cloudtune.localcloud.gate.throttle import Throttle
from cloudtune.localcloud.jobs.builds import Builds
from cloudtune.localcloud.jobs.executor import Executor
from cloudtune.localcloud.jobs.registry import JobRegistry
from cloudtune.localcloud.jobs.storage import Storage
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.jobs.warm_pools import WarmPools
from cloudtune.localcloud.services.logs import LogStore
from cloudtune.localcloud.services.quotas import Quotas
from cloudtune.localcloud.settings import CloudSettings


class Platform:
    """One local cloud. Only one can be open in a process, since moto's state belongs to the process.

    Args:
        settings: As chosen by whoever starts the cloud.
        endpoint: URL that jobs use to reach the cloud; None in the in-process form, where they cannot.
        run_jobs: Whether training jobs really run. Without, tests move them by hand.
        cloud_id: Tells this cloud from others on the machine: the environment of each process that it starts has it as
            ``CLOUDTUNE_LOCALCLOUD``. Drawn by default.
    """

    def __init__(
        self, settings: CloudSettings, endpoint: str | None = None, run_jobs: bool = True, cloud_id: str = ""
    ) -> None:
        self.id = cloud_id or secrets.token_hex(6)
        self.settings = settings
        self.endpoint = endpoint
        self.clock = CloudClock(settings.time_scale)
        self.faults = FaultPlan(self.clock, settings.seed)
        for fault in settings.faults:
            self.faults.add(fault)
        self.calls = CallLog(self.clock, settings.kept_calls)
        self.throttle = Throttle(self.clock, settings.rates)
        self.identities = Identities(self)
        self.jobs = JobRegistry()
        self.quotas = Quotas(self)
        self.warm_pools = WarmPools(self)
        self.logs = LogStore(self)
        self.storage = Storage(self)
        self.builds = Builds(self)
        self.executor = Executor(self) if run_jobs else None
        self._seams = Seams(self)

    def open(self) -> None:
        """Puts our services into moto. To be called before moto's server is made or ``mock_aws`` begins."""
        self._seams.install()

    def close(self) -> None:
        """Kills all jobs and gives moto its own services back."""
        try:
            if self.executor is not None:
                self.executor.close()
        finally:
            self.builds.clear()
            self.warm_pools.close()
            self.logs.close()
            self._seams.uninstall()

    def created(self, job: TrainingJob) -> None:
        """A job was just created: it is started."""
        if self.executor is not None:
            self.executor.start(job)

    def stop_wanted(self, job: TrainingJob) -> None:
        """A job was just asked to stop: its container is told. Without an executor it stays Stopping until moved."""
        if self.executor is not None:
            self.executor.stop(job)

    def forget_jobs(self) -> None:
        """Kills all jobs without a trace: moto's state is being reset."""
        if self.executor is not None:
            self.executor.kill_all()
        self.builds.clear()
        self.warm_pools.clear()
