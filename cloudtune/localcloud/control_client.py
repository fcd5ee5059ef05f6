"""Speaks to a local cloud's own endpoints. Standard library only: nothing of moto or boto3 is needed on this side."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cloudtune.localcloud.fault import Fault

_PREFIX = "/cloudtune-localcloud/"
#: Real seconds. Every answer comes at once, save for those that wait for a job, at most 20 s.
_TIMEOUT = 60.0


class CloudUnreachable(ConnectionError):
    """No local cloud answers at the endpoint."""


class ControlRefused(ValueError):
    """The cloud answered that it cannot do this; the message is the cloud's."""


class ControlClient:
    """Thread-safe: each call has a connection of its own.

    Args:
        endpoint: URL of a local cloud, such as ``http://127.0.0.1:5000``.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")
        parts = urlsplit(self.endpoint)
        if parts.scheme != "http" or not parts.hostname or parts.path:
            raise ValueError(f"{endpoint!r} is not the endpoint of a local cloud, such as http://127.0.0.1:5000.")
        self._address = parts.hostname, parts.port or 80

    def status(self) -> dict[str, Any]:
        """Id, process, uptime, jobs by status."""
        return dict(self._call("GET", "status"))

    def jobs(self) -> list[dict[str, Any]]:
        """A row per training job, oldest first."""
        return list(self._call("GET", "jobs"))

    def job(self, name: str) -> dict[str, Any]:
        """The row of a training job."""
        return dict(self._call("GET", f"jobs/{quote(name, safe='')}"))

    def wait_for_job(self, name: str, timeout: float = 60.0) -> dict[str, Any]:
        """Blocks until the job has ended.

        Args:
            name: Of the training job.
            timeout: Real seconds.

        Returns:
            Its row.

        Raises:
            TimeoutError: It has not ended in time; the message says what it is doing.
        """
        until = time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            row = dict(self._call("GET", f"jobs/{quote(name, safe='')}?wait={min(left, 15.0):.3f}"))
            if row["status"] in ("Completed", "Failed", "Stopped"):
                return row
            if time.monotonic() >= until:
                raise TimeoutError(
                    f"Training job {name} has not ended within {timeout:g} s; it is {row['status']} "
                    f"({row['secondary']}: {row['message']})."
                )

    def stop_job(self, name: str) -> None:
        """Stops a job as somebody at the console would: without an API call on record."""
        self._call("POST", f"jobs/{quote(name, safe='')}/stop")

    def interrupt_job(self, name: str, notice: bool = True) -> None:
        """Takes a spot job's instance away.

        Args:
            name: Of the training job.
            notice: Whether the container gets SIGTERM and the spot notice's time before.
        """
        self._call("POST", f"jobs/{quote(name, safe='')}/interrupt", {"notice": notice})

    def add_fault(self, fault: Fault) -> int:
        """Puts a fault in force; returns its number."""
        return int(self._call("POST", "faults", fault.to_dict())["id"])

    def remove_fault(self, number: int) -> None:
        """Ends a fault."""
        self._call("DELETE", f"faults/{number}")

    def clear_faults(self) -> None:
        """Ends all faults."""
        self._call("DELETE", "faults")

    def faults(self) -> dict[int, Fault]:
        """The faults in force, by number."""
        rows = [dict(row) for row in self._call("GET", "faults")]
        return {int(row.pop("id")): Fault.from_dict(row) for row in rows}

    def fired(self) -> list[dict[str, Any]]:
        """Each time that a fault fired, oldest first: ``fault_id``, ``kind``, ``at``, ``case``, ``run``."""
        return list(self._call("GET", "fired"))

    def calls(self, operation: str = "*", who: str = "*", job: str = "*", since: float = 0.0) -> list[dict[str, Any]]:
        """The API calls on record that match, oldest first.

        Args:
            operation: Glob for ``service:Operation``.
            who: Glob for ``client`` or ``job:<name>``.
            job: Glob for the job that a call names.
            since: Cloud time, seconds since 1970.
        """
        query = urlencode({"operation": operation, "who": who, "job": job, "since": since})
        return list(self._call("GET", f"calls?{query}"))

    def call_counts(self) -> dict[str, int]:
        """How often each ``service:Operation`` was called."""
        return dict(self._call("GET", "counts"))

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Replaces the limits on calls per second: ``service:Operation`` -> rate; what is not named has none."""
        self._call("POST", "rates", dict(rates))

    def set_quota(self, name: str, instances: int) -> None:
        """Sets a quota of SageMaker, such as ``ml.g4dn.xlarge for training job usage``."""
        self._call("POST", "quotas", {name: instances})

    def save(self) -> None:
        """Writes the state to the cloud's state folder now."""
        self._call("POST", "save")

    def reset(self) -> None:
        """Begins anew: no jobs, buckets, logs, faults, calls."""
        self._call("POST", "reset")

    def shut_down(self) -> None:
        """Tells the cloud to end; returns before it has."""
        self._call("POST", "shutdown")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        with self._connection() as connection:
            content = None if body is None else json.dumps(body)
            try:
                connection.request(method, _PREFIX + path, content, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise CloudUnreachable(
                    f"No local cloud answers at {self.endpoint}; start one with `cloudtune localcloud up`, or name "
                    "another with --endpoint."
                ) from error
        try:
            value = json.loads(text)
        except ValueError as error:
            raise CloudUnreachable(
                f"What answers at {self.endpoint} is not a local cloud of cloudtune; name another with --endpoint."
            ) from error
        if answer.status != 200:
            message = value.get("error") if isinstance(value, dict) else None
            raise ControlRefused(message or f"The cloud at {self.endpoint} answered {answer.status}.")
        return value

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        host, port = self._address
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        try:
            yield connection
        finally:
            connection.close()
