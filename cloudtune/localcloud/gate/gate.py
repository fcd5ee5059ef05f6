"""The way of every call: who is it, may it, what goes wrong, the service, and the record of it all."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from werkzeug.exceptions import HTTPException

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.fault import CALL_FAULTS, CLOUD_FAULTS, Fault
from cloudtune.localcloud.fault_plan import FaultCase
from cloudtune.localcloud.gate.api_request import ApiRequest, read_request
from cloudtune.localcloud.gate.call_log import Call
from cloudtune.localcloud.gate.caller_identity import identify
from cloudtune.localcloud.gate.dropped import ConnectionDropped, NoServerToKill, drop
from cloudtune.localcloud.gate.error_answers import Answer, error_answer, error_code
from cloudtune.localcloud.gate.faulty_answers import internal_error, refuse, throttled
from cloudtune.localcloud.gate.gated_service import GatedService, unknown_operation
from cloudtune.localcloud.gate.s3_gate import S3Gate
from cloudtune.localcloud.gate.s3_request import read_s3_request
from cloudtune.localcloud.services.operation import NotOurs

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

logger = logging.getLogger(__name__)

#: What moto's url tables hold: (request, full url, headers) -> answer.
Handler = Callable[[Request, str, Any], Answer]

_KINDS = {**CALL_FAULTS, **CLOUD_FAULTS}


@dataclass
class _Course:
    """One call on its way."""

    service: GatedService
    request: Request
    call: ApiRequest
    caller: Caller
    moto: Callable[[], Answer]
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.service.name}:{self.call.operation}"


class Gate:
    """Stands before the handlers of all gated services. Thread-safe.

    Args:
        platform: The cloud.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._s3 = S3Gate(platform)
        self._closing = threading.Event()

    def close(self) -> None:
        """Answers that are being delayed are given at once."""
        self._closing.set()

    def handler(self, service: GatedService, moto: Handler, name: str) -> Handler:
        """What to put into moto's url table in place of ``moto``.

        Args:
            service: Whose calls come.
            moto: Who answered before, and still does for what is not ours.
            name: Of the handler: flask wants each to have its own.
        """

        def handle(request: Request, full_url: str, headers: Any) -> Answer:
            return self._handle(service, request, lambda: moto(request, full_url, headers))

        # moto treats handlers by the name of "dispatch" specially.
        handle.__name__ = name
        return handle

    def _handle(self, service: GatedService, request: Request, moto: Callable[[], Answer]) -> Answer:
        began = time.perf_counter()
        platform = self._platform
        at = platform.clock.time()
        caller = identify(platform, request)
        call = read_s3_request(request) if service.name == "s3" else read_request(service.name, request)
        course = _Course(service, request, call, caller, moto)
        job = call.job or caller.job
        if platform.faults.any_of(_KINDS):
            course.faults = platform.faults.for_call(FaultCase(course.name, job, call.resource, caller.who))
        status, error = 0, "ConnectionDropped"
        try:
            answer = self._answer(course)
            status, error = answer[0], error_code(answer)
            self._delay(course)
            if "answer_lost" in course.faults:
                raise ConnectionDropped
            return answer
        except ConnectionDropped:
            status, error = 0, "ConnectionDropped"
            return drop(request)
        finally:
            seconds = time.perf_counter() - began
            fault = "+".join(course.faults)
            platform.calls.record(
                Call(
                    at,
                    service.name,
                    call.operation,
                    caller.who,
                    job,
                    call.resource,
                    status,
                    error,
                    fault,
                    seconds,
                    call.about,
                )
            )

    def _answer(self, course: _Course) -> Answer:
        """The service's answer, or an error that stands for whatever went wrong.

        Raises:
            ConnectionDropped: There is to be no answer.
            NoServerToKill: A fault asks for what this cloud has not.
        """
        call, request = course.call, course.request
        try:
            return self._served(course)
        except AwsError as refused:
            error = refused
        except NotImplementedError:
            error = unknown_operation(course.service.name, call.operation)
        except ServiceException as refused:
            error = AwsError(refused.code, refused.message)
        except HTTPException as refused:
            error = AwsError(refused.name.replace(" ", ""), refused.description or "", refused.code or 400)
        except (ConnectionDropped, NoServerToKill):
            raise
        except Exception:
            logger.exception("%s failed in the local cloud.", course.name)
            error = internal_error(call.protocol)
        return error_answer(call.protocol, error, request.content_type or "", request.method == "HEAD")

    def _served(self, course: _Course) -> Answer:
        platform, call, caller, faults = self._platform, course.call, course.caller, course.faults
        if "kill_server" in faults:
            self._kill()
        if "request_lost" in faults:
            raise ConnectionDropped
        if not platform.throttle.admit(course.name, caller.account, caller.region):
            raise throttled(call.protocol)
        if faults:
            refuse(faults, course.service.name, call, caller)
        if call.malformed is not None:
            raise call.malformed
        if call.protocol == "s3":
            return self._s3.answer(call, caller, course.request, faults, course.moto)
        ours = course.service.operations.get(call.operation)
        if ours is not None and call.protocol == "json":
            params = dict(call.params)
            params.pop("__until__", None)
            if "stale_search" in faults:
                params["__until__"] = platform.clock.time() - faults["stale_search"].seconds
            try:
                result = ours(platform, caller, params)
            except NotOurs:
                pass
            else:
                return _json_answer(result, course.request)
        course.service.check(call, course.request)
        return course.moto()

    def _delay(self, course: _Course) -> None:
        if "slow_answer" in course.faults:
            self._closing.wait(self._platform.clock.real(course.faults["slow_answer"].seconds))

    def _kill(self) -> None:
        if self._platform.endpoint is None:
            raise NoServerToKill
        os.kill(os.getpid(), signal.SIGKILL)


def _json_answer(result: Mapping[str, Any], request: Request) -> Answer:
    headers = {
        "Content-Type": request.content_type or "application/x-amz-json-1.1",
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    return 200, headers, json.dumps(result).encode()
