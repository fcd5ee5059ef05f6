"""Errors in the form of each protocol."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from xml.sax.saxutils import escape

from cloudtune.localcloud.aws_error import AwsError

#: Status, headers, body: what moto's handlers give.
Answer = tuple[int, dict[str, Any], Any]

#: The same error under the names of the protocols that spell it differently: JSON's -> (query's, S3's).
_SPELLINGS = {
    "ThrottlingException": ("Throttling", "SlowDown"),
    "InternalServerError": ("InternalFailure", "InternalError"),
    "AccessDeniedException": ("AccessDenied", "AccessDenied"),
    "ExpiredTokenException": ("ExpiredToken", "ExpiredToken"),
    "UnknownOperationException": ("InvalidAction", "NotImplemented"),
}
_STATUS = {"SlowDown": 503, "AccessDenied": 403}
_XML_CODE = re.compile(rb"<Code>([^<]*)</Code>")


def error_answer(protocol: str, error: AwsError, content_type: str = "", is_head: bool = False) -> Answer:
    """An error as the client's parser expects it.

    Args:
        protocol: ``json``, ``rest``, ``query`` or ``s3``.
        error: With its code as the JSON protocol spells it; other spellings are found here.
        content_type: Of the request: which version of JSON the client speaks.
        is_head: Answers of HEAD have no body.
    """
    request_id = str(uuid.uuid4())
    if protocol in ("json", "rest"):
        headers = {
            "Content-Type": content_type if "json" in content_type else "application/x-amz-json-1.1",
            "x-amzn-RequestId": request_id,
            "x-amzn-ErrorType": error.code,
        }
        body = json.dumps({"__type": error.code, "message": error.message})
        return error.status, headers, body.encode()
    spellings = _SPELLINGS.get(error.code)
    code = error.code if spellings is None else spellings[protocol == "s3"]
    status = _STATUS.get(code, error.status)
    told = f"<Code>{escape(code)}</Code><Message>{escape(error.message)}</Message>"
    if protocol == "s3":
        headers = {"Content-Type": "application/xml", "x-amz-request-id": request_id}
        xml = f"<Error>{told}<RequestId>{request_id}</RequestId></Error>"
    else:
        headers = {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}
        side = "Receiver" if status >= 500 else "Sender"
        told = f"<Error><Type>{side}</Type>{told}</Error>"
        xml = f"<ErrorResponse>{told}<RequestId>{request_id}</RequestId></ErrorResponse>"
    return status, headers, b"" if is_head else f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode()


def error_code(answer: Answer) -> str:
    """The error code that an answer carries; empty for success."""
    status, headers, body = answer
    if status < 400:
        return ""
    raw = body.encode() if isinstance(body, str) else bytes(body or b"")
    if raw.startswith(b"{"):
        try:
            return str(json.loads(raw).get("__type", status)).rpartition("#")[2]
        except ValueError:
            return str(status)
    found = _XML_CODE.search(raw)
    if found:
        return found[1].decode("utf-8", "replace")
    return str(headers.get("x-amzn-ErrorType") or status)
