"""The local cloud's own HTTP endpoints, below ``/cloudtune-localcloud/``: what AWS has no calls for.

Everything is JSON. An error is ``{"error": "one sentence"}`` with status 400, 404 or 405. Only loopback may ask: a page
in a browser that makes its own name point to 127.0.0.1 is turned away by its Host header, one that posts across
origins by its Origin header.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from cloudtune import __version__
from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.server.http_visitors import is_loopback, refusal

if TYPE_CHECKING:
    from cloudtune.localcloud.server.cloud_server import CloudServer

logger = logging.getLogger(__name__)

PREFIX = "/cloudtune-localcloud/"

#: Real seconds that one call may wait for a job: clients ask again, so that no call outlives its client for long.
_LONGEST_WAIT = 20.0
#: Instances in a quota, calls per second, numbers of faults: more is of no use, and not every part could count it.
_LARGEST = 2**31 - 1


class ControlError(Exception):
    """Told to the client. ``status`` is that of the answer."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


def _not_found(message: str) -> ControlError:
    return ControlError("404 Not Found", message)


def _bad(message: str) -> ControlError:
    return ControlError("400 Bad Request", message)


class ControlApi:
    """A WSGI application for the paths below :data:`PREFIX`.

    Args:
        server: Whose platform is asked and changed.
    """

    def __init__(self, server: CloudServer) -> None:
        self._server = server
        self._routes: Mapping[tuple[str, str], Callable[[_Request], Any]] = {
            ("GET", "status"): self._status,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("DELETE", "faults/*"): self._remove_fault,
            ("GET", "fired"): self._fired,
            ("GET", "calls"): self._calls,
            ("GET", "counts"): self._counts,
            ("GET", "jobs"): self._jobs,
            ("GET", "jobs/*"): self._job,
            ("POST", "jobs/*/stop"): self._stop,
            ("POST", "jobs/*/interrupt"): self._interrupt,
            ("POST", "rates"): self._set_rates,
            ("POST", "quotas"): self._set_quotas,
            ("POST", "reset"): self._reset,
            ("POST", "save"): self._save,
            ("POST", "shutdown"): self._shutdown,
            ("GET", "credentials/*"): self._credentials,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            status, answer = "200 OK", self._answer(environ)
        except ControlError as error:
            status, answer = error.status, {"error": str(error)}
        except Exception:  # whatever breaks in one call, the client reads JSON
            logger.exception("a call broke down: %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            text = "The local cloud broke down in this call; its log says where."
            status, answer = "500 Internal Server Error", {"error": text}
        body = json.dumps(answer, default=_plain).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Any:
        check_origin(environ)
        path = environ["PATH_INFO"].removeprefix(PREFIX).strip("/")
        method = environ["REQUEST_METHOD"]
        request = _Request(environ, path.split("/"))
        pattern = "/".join("*" if index == 1 else word for index, word in enumerate(request.words))
        handler = self._routes.get((method, pattern))
        if handler is not None:
            return handler(request)
        if any(known == pattern for _, known in self._routes):
            raise ControlError("405 Method Not Allowed", f"{PREFIX}{path} does not answer to {method}.")
        raise _not_found(f"The local cloud has nothing at {PREFIX}{path}.")

    def _status(self, _: _Request) -> Any:
        server = self._server
        return {
            "id": server.platform.id,
            "version": __version__,
            "pid": server.pid,
            "endpoint": server.endpoint,
            "region": server.settings.region,
            "account": server.settings.account,
            "uptime": time.monotonic() - server.began,
            "time": server.platform.clock.time(),
            "time_scale": server.settings.time_scale,
            "state_folder": server.settings.state_folder,
            "jobs": Counter(job.status for job in server.platform.jobs),
        }

    def _faults(self, _: _Request) -> Any:
        faults = self._server.platform.faults.faults()
        return [{"id": number, **fault.to_dict()} for number, fault in faults.items()]

    def _add_fault(self, request: _Request) -> Any:
        try:
            fault = Fault.from_dict(request.body())
        except (TypeError, ValueError) as error:
            raise _bad(str(error)) from error
        return {"id": self._server.platform.faults.add(fault)}

    def _clear_faults(self, _: _Request) -> Any:
        self._server.platform.faults.clear()
        return {}

    def _remove_fault(self, request: _Request) -> Any:
        number = request.words[1]
        is_number = number.isdecimal() and len(number) <= len(str(_LARGEST))
        if not is_number or not self._server.platform.faults.remove(int(number)):
            raise _not_found(f"There is no fault {number[:100]}.")
        return {}

    def _fired(self, _: _Request) -> Any:
        return self._server.platform.faults.fired()

    def _calls(self, request: _Request) -> Any:
        since = request.number("since", 0.0)
        query = request.query
        calls = self._server.platform.calls
        return calls.calls(query.get("operation", "*"), query.get("who", "*"), query.get("job", "*"), since)

    def _counts(self, _: _Request) -> Any:
        return self._server.platform.calls.counts()

    def _jobs(self, _: _Request) -> Any:
        return [_row(job) for job in self._server.platform.jobs]

    def _job(self, request: _Request) -> Any:
        job = self._found(request)
        wait = request.number("wait", 0.0)
        until = time.monotonic() + min(wait, _LONGEST_WAIT)
        # In short waits, so that a cloud that is told to end does not have to wait for us.
        while time.monotonic() < until and not self._server.told_to_end.is_set() and not job.wait(0.1):
            pass
        return _row(job)

    def _stop(self, request: _Request) -> Any:
        job = self._found(request)
        if not job.want_stop():
            raise _bad(f"Training job {job.name} is {job.status} already.")
        self._server.platform.stop_wanted(job)
        return _row(job)

    def _interrupt(self, request: _Request) -> Any:
        job = self._found(request)
        executor = self._server.platform.executor
        notice = request.body().get("notice", True)
        if not job.is_spot:
            raise _bad(f"Training job {job.name} is not a spot job: its instance cannot be taken away.")
        if executor is None or not executor.interrupt(job, bool(notice)):
            raise _bad(
                f"Training job {job.name} has no instance that could be taken away: it is {job.state.secondary}."
            )
        return _row(job)

    def _set_rates(self, request: _Request) -> Any:
        rates = {name: _number(name, value) for name, value in request.body().items()}
        try:
            self._server.platform.throttle.set_rates(rates)
        except ValueError as error:
            raise _bad(str(error)) from error
        return {}

    def _set_quotas(self, request: _Request) -> Any:
        for name, value in request.body().items():
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
                raise _bad(f"Quota {name!r} is {_cut(value)}; it must be a number of instances, {_LARGEST} at most.")
            self._server.platform.quotas.set(name, value)
        return {}

    def _reset(self, _: _Request) -> Any:
        self._server.reset()
        return {}

    def _save(self, _: _Request) -> Any:
        try:
            is_kept = self._server.save()
        except OSError as error:
            raise ControlError(
                "507 Insufficient Storage"
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else "500 Internal Server Error",
                f"The state could not be saved to {self._server.settings.state_folder}: {error.strerror or error}. "
                "What was saved before is kept.",
            ) from error
        if not is_kept:
            raise _bad("This cloud keeps no state; start it with a state folder (--state-folder FOLDER).")
        return {}

    def _shutdown(self, _: _Request) -> Any:
        self._server.told_to_end.set()
        return {}

    def _credentials(self, request: _Request) -> Any:
        found = self._server.platform.identities.credentials(request.words[1])
        if found is None:
            raise _not_found("No running job has these credentials.")
        return found

    def _found(self, request: _Request) -> TrainingJob:
        """The newest job of the name, in whichever account and region."""
        name = request.words[1]
        found = [job for job in self._server.platform.jobs if job.name == name]
        if not found:
            raise _not_found(f"There is no training job {name}.")
        return max(found, key=lambda job: job.created)


class _Request:
    """What an endpoint is asked.

    Args:
        environ: The WSGI environment.
        words: The path below the prefix, at the slashes.
    """

    def __init__(self, environ: dict[str, Any], words: list[str]) -> None:
        self._environ = environ
        self.words = [unquote(word) for word in words]
        self.query = dict(parse_qsl(environ.get("QUERY_STRING", "")))

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; empty if nothing was."""
        text = self._environ["wsgi.input"].read()
        try:
            value = json.loads(text) if text else {}
        except ValueError as error:
            raise _bad(f"The body is not JSON: {error}.") from error
        except RecursionError as error:
            raise _bad("The body is not JSON that can be read: it is too deeply nested.") from error
        if not isinstance(value, dict):
            raise _bad("The body must be a JSON object.")
        return value

    def number(self, name: str, default: float) -> float:
        """A parameter of the query."""
        text = self.query.get(name)
        if text is None:
            return default
        try:
            return float(text)
        except ValueError as error:
            raise _bad(f"{name} is {text!r}; it must be a number.") from error


def check_origin(environ: Mapping[str, Any]) -> None:
    """Raises ControlError unless the request was meant for a server on this machine, and comes from no web page."""
    host = environ.get("HTTP_HOST", "")
    if not is_loopback(host):
        raise ControlError("403 Forbidden", f"The local cloud answers to 127.0.0.1 and localhost, not to {host!r}.")
    if "HTTP_ORIGIN" in environ or refusal(environ) is not None:
        raise ControlError("403 Forbidden", "The local cloud does not answer to web pages.")


def _row(job: TrainingJob) -> dict[str, Any]:
    """What a table of jobs tells about one; times are cloud time in seconds."""
    state = job.state
    return {
        "name": job.name,
        "status": state.status,
        "secondary": state.secondary,
        "message": state.message,
        "failure_reason": state.failure_reason,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "spot": job.is_spot,
        "run": job.run,
        "created": job.created,
        "since": state.since,
        "training_seconds": state.training_seconds,
        "billable_seconds": state.billable_seconds,
        "account": job.account,
        "region": job.region,
    }


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= _LARGEST:
        raise _bad(f"The rate of {name!r} is {_cut(value)}; it must be a number of calls per second.")
    return float(value)


def _cut(value: Any) -> str:
    """What was sent, short enough for a sentence."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be told as JSON")
