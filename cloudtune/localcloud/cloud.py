"""A local cloud in a process of its own, as a context manager."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.control_client import CloudUnreachable, ControlClient
from cloudtune.localcloud.environment import cloud_environment, exported
from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.fault_plan import FaultCase, Fired
from cloudtune.localcloud.gate.call_log import Call
from cloudtune.localcloud.server_process import ServerProcess
from cloudtune.localcloud.settings import CloudSettings, chosen

if TYPE_CHECKING:
    from cloudtune.localcloud.clients import CloudSession


class LocalCloud:
    """AWS on this machine, for as long as the ``with`` block lasts.

    Several can be open at once, each with its own port and state. The server ends with this process, however that ends.

    Example::

        with LocalCloud(start_delay=0.1) as cloud:
            s3 = cloud.client("s3")
            s3.create_bucket(Bucket="data")
            cloud.faults.add(Fault("throttle", operation="sagemaker:CreateTrainingJob", count=3))
            with cloud.activate():
                ...  # code that makes its own boto3 clients

    Args:
        settings: See :class:`CloudSettings`.
        **overrides: Single settings, in place of those in ``settings``.
    """

    def __init__(self, settings: CloudSettings | None = None, **overrides: Any) -> None:
        self.settings = chosen(settings, overrides)
        self._process: ServerProcess | None = None
        self._control: ControlClient | None = None
        self._finalizer: weakref.finalize[[], LocalCloud] | None = None

    @classmethod
    def attach(cls, endpoint: str) -> LocalCloud:
        """A cloud that is already up; it stays up when the ``with`` block ends.

        Args:
            endpoint: As `cloudtune localcloud up` prints it.

        Raises:
            CloudUnreachable: No local cloud answers there.
        """
        control = ControlClient(endpoint)
        status = control.status()
        cloud = cls(region=status["region"], account=status["account"], time_scale=status["time_scale"])
        cloud._control = control
        return cloud

    def start(self) -> LocalCloud:
        """Starts the server, unless it runs; returns the cloud itself. ``with`` does it too.

        Raises:
            CloudStartFailed: The port is taken, the state folder is of no use, or the server broke down.
        """
        if self._control is None:
            self._process = ServerProcess(self.settings)
            self._finalizer = weakref.finalize(self, self._process.end)
            self._control = _OwnControl(self._process)
        return self

    def close(self) -> None:
        """Takes the cloud down: its jobs are killed, its state is saved if it is to be kept. May be called twice."""
        self._control = None
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> LocalCloud:  # noqa: PYI034 - Self came with 3.11
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def control(self) -> ControlClient:
        """Speaks to the cloud's own endpoints."""
        if self._control is None:
            raise RuntimeError("This local cloud is not up; use it as `with LocalCloud() as cloud:`.")
        return self._control

    @property
    def endpoint(self) -> str:
        """URL for ``endpoint_url``, or ``AWS_ENDPOINT_URL``."""
        return self.control.endpoint

    @property
    def is_up(self) -> bool:
        """Whether the server of this cloud runs; for one that was started elsewhere, whether it was reached once."""
        return self._control is not None and (self._process is None or self._process.exit_code is None)

    @property
    def id(self) -> str:
        """Tells this cloud from others: the processes it starts have it as ``CLOUDTUNE_LOCALCLOUD``."""
        return self._process.id if self._process is not None else str(self.control.status()["id"])

    @property
    def pid(self) -> int:
        """Of the server process."""
        return self._process.pid if self._process is not None else int(self.control.status()["pid"])

    @property
    def log(self) -> Path:
        """What the server writes to its standard error. Removed with the cloud."""
        return self._own_process().log

    @property
    def faults(self) -> CloudFaults:
        """What goes wrong in this cloud."""
        return CloudFaults(self.control)

    def environment(self) -> dict[str, str]:
        """What the environment of a program must hold for its AWS clients to use this cloud."""
        return cloud_environment(self.endpoint, self.settings.region)

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Has this process's AWS clients use this cloud, boto3's default session included, until it ends.

        Changes ``os.environ``: not for several threads or clouds at once.
        """
        with exported(self.environment()):
            _forget_default_session()
            try:
                yield
            finally:
                _forget_default_session()

    def session(self) -> CloudSession:
        """A new boto3 session for this cloud. For one thread; the clients it makes may be shared by threads."""
        from cloudtune.localcloud.clients import CloudSession

        return CloudSession(self.endpoint, self.settings.region)

    def client(self, service: str, **options: Any) -> Any:
        """A new boto3 client for this cloud, from a session of its own: safe in any thread.

        Args:
            service: Such as ``s3``.
            **options: As for :meth:`boto3.session.Session.client`.
        """
        return self.session().client(service, **options)

    def calls(self, operation: str = "*", who: str = "*", job: str = "*", since: float = 0.0) -> list[Call]:
        """The API calls on record that match; see :meth:`CallLog.calls`."""
        return [Call(**row) for row in self.control.calls(operation, who, job, since)]

    def call_counts(self) -> dict[str, int]:
        """How often each ``service:Operation`` was called."""
        return self.control.call_counts()

    def jobs(self) -> list[dict[str, Any]]:
        """A row per training job, oldest first; see :meth:`ControlClient.jobs`."""
        return self.control.jobs()

    def wait_for_job(self, name: str, timeout: float = 60.0) -> dict[str, Any]:
        """Blocks until a job has ended, without an API call on record; see :meth:`ControlClient.wait_for_job`."""
        return self.control.wait_for_job(name, timeout)

    def stop_job(self, name: str) -> None:
        """Stops a job as somebody at the console would."""
        self.control.stop_job(name)

    def interrupt_job(self, name: str, notice: bool = True) -> None:
        """Takes a spot job's instance away; see :meth:`ControlClient.interrupt_job`."""
        self.control.interrupt_job(name, notice)

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Replaces the limits on calls per second; see :data:`cloudtune.localcloud.settings.AWS_RATES`."""
        self.control.set_rates(rates)

    def set_quota(self, name: str, instances: int) -> None:
        """Sets a quota, such as ``ml.g4dn.xlarge for training job usage``."""
        self.control.set_quota(name, instances)

    def save(self) -> None:
        """Writes the state to the state folder now."""
        self.control.save()

    def reset(self) -> None:
        """Begins anew, with the settings of the start: no jobs, buckets, logs, faults, calls."""
        self.control.reset()

    def kill(self) -> None:
        """Kills the server (SIGKILL), and with it its jobs, as a machine that dies would do it."""
        self._own_process().kill()

    def wait(self, timeout: float | None = None) -> int | None:
        """Blocks until the server has ended by itself, or for ``timeout`` real seconds; its exit code, or None."""
        return self._own_process().wait(timeout)

    def how_it_ended(self) -> str:
        """For people: the exit code of a cloud that has ended, and the last lines of its log."""
        return self._own_process().how_it_ended()

    def _own_process(self) -> ServerProcess:
        if self._process is None:
            raise RuntimeError("This local cloud was not started here.")
        return self._process


class CloudFaults:
    """The faults of a running cloud."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control

    def add(self, fault: Fault | str, **fields: Any) -> int:
        """Puts a fault in force.

        Args:
            fault: A :class:`Fault`, or the kind of one.
            **fields: Of a fault given by its kind.

        Returns:
            Its number.
        """
        return self._control.add_fault(Fault.of(fault, **fields))

    def remove(self, number: int) -> None:
        """Ends a fault; raises ControlRefused if there is none of that number."""
        self._control.remove_fault(number)

    def clear(self) -> None:
        """Ends all faults."""
        self._control.clear_faults()

    def fired(self) -> list[Fired]:
        """Each time that a fault fired, oldest first."""
        rows = self._control.fired()
        return [Fired(**{**row, "case": FaultCase(**row["case"])}) for row in rows]

    def list(self) -> dict[int, Fault]:
        """The faults in force, by number."""
        return self._control.faults()


class _OwnControl(ControlClient):
    """Tells what became of a server that does not answer any more."""

    def __init__(self, process: ServerProcess) -> None:
        super().__init__(process.endpoint)
        self._process = process

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            return super()._call(method, path, body)
        except CloudUnreachable as error:
            if self._process.wait(1.0) is None:
                raise
            raise CloudUnreachable(self._process.how_it_ended()) from error


def _forget_default_session() -> None:
    """boto3's default session has read the environment as it was when it was made."""
    boto3 = sys.modules.get("boto3")
    if boto3 is not None:
        vars(boto3)["DEFAULT_SESSION"] = None
