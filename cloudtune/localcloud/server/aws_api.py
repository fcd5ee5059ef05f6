"""AWS's side of the server: who may ask, and what of moto's server is not open here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from moto.moto_server.werkzeug_app import UNSIGNED_REQUESTS, DomainDispatcherApplication, create_backend_app

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.gate.error_answers import error_answer
from cloudtune.localcloud.server.http_server import HOST
from cloudtune.localcloud.server.http_visitors import refusal

#: moto takes all paths that begin so for its own.
_MOTO_API = "/moto-api"


class AwsApi:
    """A WSGI application for all services. To be made once the platform has put its handlers into moto.

    Args:
        reset: Begins the cloud anew: what ``POST /moto-api/reset`` does, for tools that know moto.
    """

    def __init__(self, reset: Callable[[], None]) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._reset = reset

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reason = refusal(environ)
        if reason is not None:
            return _refused(environ, start_response, AwsError("AccessDeniedException", reason, 403))
        path: str = environ["PATH_INFO"]
        if path.startswith(_MOTO_API):
            return self._moto_api(environ, start_response)
        error = _unreadable(environ)
        if error is not None:
            return _refused(environ, start_response, error)
        # moto takes for granted that there is one.
        environ.setdefault("HTTP_HOST", f"{HOST}:{environ['SERVER_PORT']}")
        if "\n" in path:
            # Keys may have line ends, moto's patterns of paths do not know them. It reads the key from the raw path.
            environ["PATH_INFO"] = path.replace("\n", " ")
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _moto_api(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"].rstrip("/")) == ("POST", f"{_MOTO_API}/reset"):
            self._reset()
            return _json(start_response, 200, {"status": "ok"})
        only = f"Of moto's own addresses the local cloud only has POST {_MOTO_API}/reset."
        return _json(start_response, 403, {"error": only})


def _unreadable(environ: dict[str, Any]) -> AwsError | None:
    """What moto would stumble over, or take for a request to S3, when it looks for the service that is meant."""
    words = environ.get("HTTP_AUTHORIZATION", "").partition(",")[0].split()
    if len(words) == 1:
        return AwsError("InvalidArgument", "Unsupported Authorization Type")
    target: str | None = environ.get("HTTP_X_AMZ_TARGET")
    names_service = bool(words) and words[1].count("/") == 4
    if target is None or names_service or (not words and target.partition(".")[0] in UNSIGNED_REQUESTS):
        return None
    return AwsError(
        "MissingAuthenticationTokenException",
        "The request is not signed: the local cloud cannot tell which service it is for.",
        403,
    )


def _refused(environ: dict[str, Any], start_response: Callable[..., Any], error: AwsError) -> Iterable[bytes]:
    protocol = "json" if "HTTP_X_AMZ_TARGET" in environ else "s3"
    status, headers, body = error_answer(protocol, error, environ.get("CONTENT_TYPE", ""))
    start_response(_line(status), list(headers.items()))
    return [body]


def _json(start_response: Callable[..., Any], status: int, value: dict[str, str]) -> Iterable[bytes]:
    start_response(_line(status), [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
