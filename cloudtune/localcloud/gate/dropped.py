"""A connection that breaks instead of giving an answer."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ConnectionClosedError
from moto.core.request import Request

#: Set in the WSGI environment of a request whose connection is to be closed without a byte of answer. The HTTP server
#: looks for it; what the application returns is not sent.
DROP = "cloudtune.drop"


class ConnectionDropped(Exception):
    """The connection breaks now: nothing more is done for this call."""


class NoServerToKill(RuntimeError):
    """The fault ``kill_server`` struck a cloud inside the process of its user, which nobody wants to see killed."""

    def __init__(self) -> None:
        super().__init__("The fault kill_server struck, but this cloud has no server: use LocalCloud for it.")


def drop(request: Request) -> tuple[int, dict[str, Any], bytes]:
    """Breaks the connection of a request.

    In the server it is marked and closed later by the HTTP server. In the in-process form there is no connection: the
    error that botocore raises when a server hangs up is raised, which boto3 retries likewise.
    """
    if request.from_wsgi_server:
        request.environ[DROP] = True
        return 500, {}, b""
    raise ConnectionClosedError(endpoint_url=request.raw_url)
