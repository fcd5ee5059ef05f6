"""What an API operation of ours looks like to the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.caller import Caller

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Parameters and answer are as in the service's JSON protocol, times as seconds since 1970. Raises AwsError, or
#: :class:`NotOurs`.
Operation = Callable[["Platform", Caller, dict[str, Any]], dict[str, Any]]


class NotOurs(Exception):
    """The request is about something that moto keeps, not we: the gate gives it to moto's handler."""
