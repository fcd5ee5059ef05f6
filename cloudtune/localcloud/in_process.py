"""A local cloud inside this process, for fast unit tests: no server, and by default no jobs that run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.environment import cloud_environment, exported
from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.fault_plan import Fired
from cloudtune.localcloud.settings import CloudSettings, chosen

if TYPE_CHECKING:
    from cloudtune.localcloud.clients import CloudSession
    from cloudtune.localcloud.gate.call_log import Call
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform

_only_one = threading.Lock()


class InProcessCloud:
    """AWS in this process, by moto's ``mock_aws``: a call costs a millisecond or two and needs no socket.

    While it is open, *all* boto3 clients of the process are answered by it. Training jobs do not run: tests move them
    (:meth:`job`). With ``run_jobs`` they run as processes, which cannot reach the cloud: no S3 from inside a job.

    Example::

        with InProcessCloud() as cloud:
            cloud.client("sagemaker").create_training_job(...)
            job = cloud.job("train-1")
            job.move("Training")
            job.finish("Completed", "Completed", "Training job completed")

    Args:
        settings: See :class:`CloudSettings`; ports and state folders have no meaning here.
        run_jobs: Whether training jobs run.
        **overrides: Single settings, in place of those in ``settings``.
    """

    def __init__(self, settings: CloudSettings | None = None, run_jobs: bool = False, **overrides: Any) -> None:
        self.settings = chosen(settings, overrides)
        self._run_jobs = run_jobs
        self._platform: Platform | None = None
        self._exit = ExitStack()

    def __enter__(self) -> InProcessCloud:  # noqa: PYI034 - Self came with 3.11
        if not _only_one.acquire(blocking=False):
            raise RuntimeError(
                "Another in-process cloud is open in this process, and moto has room for one; close it first, or use "
                "LocalCloud, of which there can be many."
            )
        try:
            with ExitStack() as stack:
                # Whatever goes wrong from here on, the room is given back.
                stack.callback(_only_one.release)
                self._open(stack)
                self._exit = stack.pop_all()
        except BaseException:
            self._platform = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._platform = None
        self._exit.close()

    def _open(self, stack: ExitStack) -> None:
        from moto import mock_aws
        from moto.core.models import MockAWS

        from cloudtune.localcloud.platform import Platform
        from cloudtune.localcloud.services.roles import create_default_role

        if MockAWS._mocks_active:
            raise RuntimeError("moto's mock_aws is active already; an in-process cloud begins it by itself.")
        variables = cloud_environment(None, self.settings.region)
        stack.enter_context(exported({**variables, "MOTO_ACCOUNT_ID": self.settings.account}))
        platform = Platform(self.settings, endpoint=None, run_jobs=self._run_jobs)
        platform.open()
        stack.callback(platform.close)
        # After the platform: moto makes its list of handlers when the mock begins. Its state is empty then.
        stack.enter_context(mock_aws())
        stack.callback(platform.forget_jobs)
        create_default_role(platform)
        self._platform = platform

    @property
    def platform(self) -> Platform:
        """The cloud's insides."""
        if self._platform is None:
            raise RuntimeError("This local cloud is not up; use it as `with InProcessCloud() as cloud:`.")
        return self._platform

    @property
    def id(self) -> str:
        """Tells this cloud from others."""
        return self.platform.id

    @property
    def faults(self) -> InProcessFaults:
        """What goes wrong in this cloud."""
        return InProcessFaults(self.platform)

    def session(self) -> CloudSession:
        """A new boto3 session."""
        from cloudtune.localcloud.clients import CloudSession

        self.platform  # noqa: B018 - raises where the cloud is not up, so that no client reaches AWS
        return CloudSession(None, self.settings.region)

    def client(self, service: str, **options: Any) -> Any:
        """A new boto3 client; see :meth:`boto3.session.Session.client`."""
        return self.session().client(service, **options)

    def job(self, name: str) -> TrainingJob:
        """The newest training job of that name, to be moved by hand; raises KeyError if there is none."""
        found = [job for job in self.platform.jobs if job.name == name]
        if not found:
            raise KeyError(f"There is no training job {name!r} in this cloud.")
        return max(found, key=lambda job: job.created)

    def jobs(self) -> list[TrainingJob]:
        """All training jobs, oldest first."""
        return sorted(self.platform.jobs, key=lambda job: job.created)

    def calls(self, operation: str = "*", who: str = "*", job: str = "*", since: float = 0.0) -> list[Call]:
        """The API calls on record that match; see :meth:`CallLog.calls`."""
        return self.platform.calls.calls(operation, who, job, since)

    def call_counts(self) -> dict[str, int]:
        """How often each ``service:Operation`` was called."""
        return self.platform.calls.counts()

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Replaces the limits on calls per second; see :data:`cloudtune.localcloud.settings.AWS_RATES`."""
        self.platform.throttle.set_rates(rates)

    def set_quota(self, name: str, instances: int) -> None:
        """Sets a quota, such as ``ml.g4dn.xlarge for training job usage``."""
        self.platform.quotas.set(name, instances)


class InProcessFaults:
    """The faults of an in-process cloud, as :class:`~cloudtune.localcloud.cloud.CloudFaults` has them."""

    def __init__(self, platform: Platform) -> None:
        self._plan = platform.faults

    def add(self, fault: Fault | str, **fields: Any) -> int:
        """Puts a fault, given itself or by its kind, in force; returns its number."""
        return self._plan.add(Fault.of(fault, **fields))

    def remove(self, number: int) -> None:
        """Ends a fault; raises KeyError if there is none of that number."""
        if not self._plan.remove(number):
            raise KeyError(f"There is no fault {number}.")

    def clear(self) -> None:
        """Ends all faults."""
        self._plan.clear()

    def fired(self) -> list[Fired]:
        """Each time that a fault fired, oldest first."""
        return self._plan.fired()

    def list(self) -> dict[int, Fault]:
        """The faults in force, by number."""
        return self._plan.faults()
