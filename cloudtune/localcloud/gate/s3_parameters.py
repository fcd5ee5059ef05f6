"""What of a request to S3 moto would stumble over: methods, names, numbers, headers of reads."""

from __future__ import annotations

import email.utils
import re

from moto.core.request import Request

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.gate.api_request import ApiRequest
from cloudtune.localcloud.gate.s3_conditions import http_date

_NUMBERS = {"max-keys": (0, 2**31 - 1), "partNumber": (1, 10_000), "max-parts": (0, 2**31 - 1)}
#: Python refuses to read numbers of thousands of digits.
_MAX_DIGITS = 18
_MAX_KEY_BYTES = 1024
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"})
_RANGE = re.compile(r"bytes=[0-9]*-[0-9]*")
_LONG_NUMBER = re.compile(rf"[0-9]{{{_MAX_DIGITS + 1},}}")
#: One line of what HTTP headers can carry.
_HEADER = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def check_parameters(call: ApiRequest, request: Request) -> None:
    """Raises AwsError MethodNotAllowed, KeyTooLongError, InvalidArgument."""
    _, _, key = call.resource.partition("/")
    if request.method not in _METHODS or (key and call.operation == "PostObject"):
        raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    if len(key.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES:
        raise AwsError("KeyTooLongError", "Your key is too long")
    for name in request.args:
        text = request.args[name]
        if name in _NUMBERS:
            low, high = _NUMBERS[name]
            if not (text.isdecimal() and len(text) <= _MAX_DIGITS and low <= int(text) <= high):
                raise AwsError("InvalidArgument", f"{name} must be an integer between {low} and {high}, inclusive")
        elif name.startswith("response-") and not _HEADER.fullmatch(text):
            raise AwsError("InvalidArgument", f"{name} cannot be a header: it must be one line in ISO-8859-1.")
    if call.operation == "UploadPart" and "partNumber" not in request.args:
        raise AwsError("InvalidArgument", "This operation does not accept a query-string without partNumber.")


def put_right(request: Request) -> None:
    """Takes away ranges and dates that are none, as HTTP has it, and writes the others as moto reads them."""
    environ = request.environ
    asked = environ.get("HTTP_RANGE")
    if asked is not None:
        if _RANGE.fullmatch(asked):
            environ["HTTP_RANGE"] = _LONG_NUMBER.sub("9" * _MAX_DIGITS, asked)
        else:
            del environ["HTTP_RANGE"]
    for name in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"):
        if name in environ:
            moment = http_date(environ[name])
            if moment is None:
                del environ[name]
            else:
                environ[name] = email.utils.format_datetime(moment, usegmt=True)
