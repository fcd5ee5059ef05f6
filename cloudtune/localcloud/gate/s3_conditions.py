"""The conditions of S3 that moto does not know: of writes, of copies, of owners, of presigned requests."""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from moto.core.request import Request
from moto.s3.models import FakeKey

from cloudtune.localcloud.aws_error import AwsError

_AMZ_DATE = "%Y%m%dT%H%M%SZ"


def check_write(request: Request, key: str, current: FakeKey | None) -> None:
    """If-Match and If-None-Match of a write or deletion, against the object that is there.

    To be called with the object locked. The headers are taken away, so that moto does not judge them once more.

    Raises:
        AwsError: PreconditionFailed, NoSuchKey (If-Match where nothing is), NotImplemented (If-None-Match with
            anything but ``*``).
    """
    wanted = request.environ.pop("HTTP_IF_MATCH", None)
    unwanted = request.environ.pop("HTTP_IF_NONE_MATCH", None)
    if wanted is not None:
        if current is None:
            raise no_such_key(key)
        if wanted != "*" and not _same(wanted, current):
            raise _failed("If-Match")
    if unwanted is not None:
        if unwanted != "*":
            raise AwsError(
                "NotImplemented", "A header you provided implies functionality that is not implemented.", 501
            )
        if current is not None:
            raise _failed("If-None-Match")


def copy_source(request: Request) -> tuple[str, str, str | None]:
    """Bucket, key and perhaps version of what is to be copied. Raises AwsError InvalidArgument."""
    path, _, query = request.headers["x-amz-copy-source"].partition("?")
    bucket, slash, key = unquote(path).lstrip("/").partition("/")
    if not (bucket and slash and key):
        raise AwsError("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    return bucket, key, parse_qs(query).get("versionId", [None])[0]


def check_copy_source(request: Request, source: FakeKey) -> None:
    """The four conditions that a copy may put on its source, with the precedence that CopyObject documents.

    A matching If-Match outweighs If-Unmodified-Since, a failing If-None-Match outweighs If-Modified-Since. To be called
    with the object locked; the headers are taken away. Raises AwsError PreconditionFailed.
    """
    taken = {
        name: request.environ.pop(f"HTTP_X_AMZ_COPY_SOURCE_IF_{name.replace('-', '_').upper()}", None)
        for name in ("match", "none-match", "modified-since", "unmodified-since")
    }
    modified = source.last_modified.replace(microsecond=0, tzinfo=dt.timezone.utc)
    unmodified_since = http_date(taken["unmodified-since"])
    modified_since = http_date(taken["modified-since"])
    if taken["match"] is not None:
        if taken["match"] != "*" and not _same(taken["match"], source):
            raise _failed("x-amz-copy-source-If-Match")
    elif unmodified_since is not None and modified > unmodified_since:
        raise _failed("x-amz-copy-source-If-Unmodified-Since")
    if taken["none-match"] is not None:
        if taken["none-match"] == "*" or _same(taken["none-match"], source):
            raise _failed("x-amz-copy-source-If-None-Match")
    elif modified_since is not None and modified <= modified_since:
        raise _failed("x-amz-copy-source-If-Modified-Since")


def check_owner(request: Request, header: str, owner: str) -> None:
    """``x-amz-expected-bucket-owner`` and its like. Raises AwsError AccessDenied."""
    expected = request.headers.get(header)
    if expected is not None and expected != owner:
        raise AwsError("AccessDenied", "Access Denied", 403)


def check_presigned(request: Request, now: Callable[[], float]) -> None:
    """A presigned request must not be too old.

    Args:
        request: Any; those that are not presigned pass.
        now: Real time, seconds since 1970: clients sign with their own clock.

    Raises:
        AwsError: AccessDenied, AuthorizationQueryParametersError.
    """
    query = request.args
    if "X-Amz-Expires" in query:
        try:
            signed = dt.datetime.strptime(query["X-Amz-Date"], _AMZ_DATE).replace(tzinfo=dt.timezone.utc)
            ends = signed.timestamp() + int(query["X-Amz-Expires"])
        except (KeyError, OverflowError, ValueError):
            raise AwsError(
                "AuthorizationQueryParametersError", "X-Amz-Date and X-Amz-Expires must be a date and seconds."
            ) from None
    elif "Signature" in query and "Expires" in query:  # signature version 2
        try:
            ends = int(query["Expires"])
        except ValueError:
            raise AwsError("AccessDenied", "Invalid date (should be seconds since epoch)", 403) from None
    else:
        return
    if now() > ends:
        raise AwsError("AccessDenied", "Request has expired", 403)


def no_such_key(key: str) -> AwsError:
    """There is no object of this name."""
    return AwsError("NoSuchKey", f"The specified key does not exist: {key}", 404)


def _failed(condition: str) -> AwsError:
    return AwsError(
        "PreconditionFailed", f"At least one of the pre-conditions you specified did not hold ({condition})", 412
    )


def _same(etag: str, key: FakeKey) -> bool:
    return etag.strip('"') == key.etag.strip('"')


def http_date(text: str | None) -> dt.datetime | None:
    """A date of a header; None, as HTTP has it, for what is none. Where no zone is named, it is in UTC."""
    try:
        parsed = email.utils.parsedate_to_datetime(text) if text and email.utils.parsedate_tz(text) else None
        if parsed is not None and parsed.tzinfo is None:
            return parsed.replace(tzinfo=dt.timezone.utc)
        return parsed.astimezone(dt.timezone.utc) if parsed is not None else None
    except (OverflowError, ValueError):
        return None
