"""Where the next page of an answer begins, as an opaque token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cloudtune.localcloud.aws_error import AwsError, validation_error

#: Members of a request that may differ between pages.
_FREE = frozenset({"NextToken", "MaxResults"})


def invalid_token() -> AwsError:
    """The error for a token that we did not give, or gave for another request."""
    return validation_error("Invalid token")


def page_token(request: Mapping[str, Any], position: list[Any]) -> str:
    """A token that holds a position (JSON values) and belongs to this request."""
    body = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(request, body) + body).decode()


def page_position(request: Mapping[str, Any]) -> list[Any] | None:
    """The position that the request's token holds; None without a token. Raises AwsError for an invalid one."""
    token = request.get("NextToken")
    if token is None:
        return None
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_token() from error
    seal, body = raw[:8], raw[8:]
    if seal != _seal(request, body):
        raise invalid_token()
    position: list[Any] = json.loads(body)
    return position


def _seal(request: Mapping[str, Any], body: bytes) -> bytes:
    query = json.dumps({name: value for name, value in request.items() if name not in _FREE}, sort_keys=True)
    return hashlib.blake2b(query.encode() + b"\0" + body, digest_size=8).digest()
