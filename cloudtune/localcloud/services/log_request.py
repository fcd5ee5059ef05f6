"""The parameters of a request to CloudWatch Logs, checked as they are read."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from moto.logs.models import LogGroup

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services.log_stream import CompactLogStream

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform

#: A page of log events holds no more bytes than this (messages in UTF-8 and ``EVENT_OVERHEAD`` each), nor more events.
PAGE_BYTES = 1_048_576
PAGE_EVENTS = 10_000
EVENT_OVERHEAD = 26


def invalid(message: str) -> AwsError:
    """What CloudWatch Logs answers to a request that is wrong in itself."""
    return AwsError("InvalidParameterException", message)


def _violated(name: str, value: Any, constraint: str) -> AwsError:
    return invalid(
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {constraint}"
    )


class LogRequest:
    """One request. Everything raises AwsError with CloudWatch's codes and texts.

    Args:
        platform: Its logs are asked, after what is due has been delivered.
        caller: In whose account and region.
        params: As sent.
    """

    def __init__(self, platform: Platform, caller: Caller, params: dict[str, Any]) -> None:
        self.caller = caller
        self._params = params
        self._store = platform.logs
        self._store.deliver()

    def text(self, name: str, may_be_empty: bool = False) -> str | None:
        """A string of at least one character unless it may be empty, or None where there is none."""
        value = self._params.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _violated(name, value, "Member must be a string")
        if not value and not may_be_empty:
            raise _violated(name, value, "Member must have length greater than or equal to 1")
        return value

    def number(self, name: str, lowest: int = 0, highest: int | None = None) -> int | None:
        """A whole number within bounds, or None where there is none."""
        value = self._params.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise _violated(name, value, "Member must be a whole number")
        if value < lowest:
            raise _violated(name, value, f"Member must have value greater than or equal to {lowest}")
        if highest is not None and value > highest:
            raise _violated(name, value, f"Member must have value less than or equal to {highest}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._params.get(name)
        return default if value is None else bool(value)

    def items(self, name: str, most: int) -> list[Any]:
        """A list of at most so many entries; empty where there is none."""
        value = self._params.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _violated(name, value, "Member must be a list")
        if len(value) > most:
            # The whole list would make the message as long as the request.
            raise _violated(name, f"[{len(value)} entries]", f"Member must have length less than or equal to {most}")
        return value

    def group(self) -> LogGroup:
        """The log group that the request names, by ``logGroupName`` or by ``logGroupIdentifier`` (name or ARN)."""
        name, identifier = self.text("logGroupName"), self.text("logGroupIdentifier")
        if (name is None) == (identifier is None):
            raise invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
        if identifier is not None:
            name = identifier.rpartition(":log-group:")[2].removesuffix(":*")
        group = self._store.group(self.caller.account, self.caller.region, str(name))
        if group is None:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        return group

    def stream_of(self, group: LogGroup, name: str | None) -> CompactLogStream:
        """The log stream of that name."""
        if name is None:
            raise _violated("logStreamName", "null", "Member must not be null")
        stream = self._store.stream(group, name)
        if stream is None:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        return stream

    def stream(self) -> CompactLogStream:
        """The log stream that the request names."""
        return self.stream_of(self.group(), self.text("logStreamName"))


def write_token(values: list[Any]) -> str:
    """A page token that holds JSON values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def read_token(text: str, kinds: tuple[type, ...]) -> list[Any]:
    """The values of a page token, which must be of these types."""
    try:
        values = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or tuple(map(type, values)) != kinds:
        raise invalid("The specified nextToken is invalid.")
    return values
