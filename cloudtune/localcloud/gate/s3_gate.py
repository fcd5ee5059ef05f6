"""S3 made right: one step at a time for each object, and the rules that moto does not know."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError

from moto.core.request import Request
from moto.s3.exceptions import MissingBucket
from moto.s3.models import FakeBucket, FakeKey, FakeMultipart, S3Backend, s3_backends

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.gate.api_request import ApiRequest
from cloudtune.localcloud.gate.error_answers import Answer
from cloudtune.localcloud.gate.lost_writes import (
    lost_completion,
    lost_copy,
    lost_deletion,
    lost_deletions,
    lost_put,
    malformed_xml,
)
from cloudtune.localcloud.gate.moto_models import as_bytes
from cloudtune.localcloud.gate.s3_conditions import (
    check_copy_source,
    check_owner,
    check_presigned,
    check_write,
    copy_source,
    no_such_key,
)
from cloudtune.localcloud.gate.s3_listing import list_objects_v2
from cloudtune.localcloud.gate.s3_parameters import check_parameters, put_right
from cloudtune.localcloud.gate.s3_payload import Payload

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

logger = logging.getLogger(__name__)

_PARTITION = "aws"
_CONDITIONAL = frozenset({"PutObject", "CompleteMultipartUpload", "CopyObject", "DeleteObject"})
_COPIES = frozenset({"CopyObject", "UploadPartCopy"})
_OF_UPLOAD = frozenset({"UploadPart", "UploadPartCopy", "ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"})
#: Their bodies are content, or nothing. All other PUT and POST requests carry XML.
_NO_XML = frozenset({"PutObject", "UploadPart", "CopyObject", "UploadPartCopy", "CreateMultipartUpload"})
#: Their checksum headers are about the object that comes to be, not about the body.
_CHECKSUM_OF_OBJECT = frozenset({"CompleteMultipartUpload", "CreateMultipartUpload", "CopyObject", "UploadPartCopy"})
#: Copying onto itself is refused where it changes nothing.
_DIRECTIVE = "x-amz-metadata-directive"


class S3Gate:
    """Everything between a call of S3 and moto.

    Args:
        platform: Its storage has the locks.
    """

    def __init__(self, platform: Platform) -> None:
        self._locks = platform.storage.locks

    def answer(
        self, call: ApiRequest, caller: Caller, request: Request, faults: Container[str], moto: Callable[[], Answer]
    ) -> Answer:
        """Answers a call.

        Args:
            call: What is asked.
            caller: Who asks.
            request: Headers of conditions are taken out of it once they are checked.
            faults: Kinds of faults that struck it.
            moto: Lets moto answer.

        Raises:
            AwsError: As S3 would.
        """
        check_presigned(request, time.time)
        check_parameters(call, request)
        put_right(request)
        payload = Payload(request) if request.method in ("PUT", "POST") else None
        if payload is not None and call.operation not in _CHECKSUM_OF_OBJECT:
            payload.verify()
        bucket_name, _, key = call.resource.partition("/")
        backend: S3Backend = s3_backends[caller.account][_PARTITION]
        bucket = _bucket(backend, bucket_name)
        source = copy_source(request) if call.operation in _COPIES else None
        with self._locked(call, bucket_name, key, source):
            if source is not None:
                _check_source(backend, request, source)
            if bucket is None:
                return _moto_answer(call, request, moto)
            check_owner(request, "x-amz-expected-bucket-owner", bucket.account_id)
            if call.operation == "ListObjectsV2":
                return list_objects_v2(backend, bucket, request)
            if call.operation in _OF_UPLOAD:
                upload = _upload(call, request, bucket, key)
                if "write_lost" in faults and upload is not None and payload is not None:
                    return lost_completion(payload, bucket, upload)
                return _moto_answer(call, request, moto)
            if call.operation in _CONDITIONAL:
                check_write(request, key, _current(bucket, key))
            if "write_lost" in faults:
                lost = _lost(call, request, payload, backend, source)
                if lost is not None:
                    return lost
            return _moto_answer(call, request, moto, exists=not key or _current(bucket, key) is not None)

    def _locked(
        self, call: ApiRequest, bucket: str, key: str, source: tuple[str, str, str | None] | None
    ) -> AbstractContextManager[None]:
        # Readers lock too: moto closes the content of an object that is replaced while somebody reads it.
        if call.operation == "DeleteObjects":
            return self._locks.holding_all()
        if not key:
            return contextlib.nullcontext()
        return self._locks.holding([(bucket, key)] if source is None else [(bucket, key), source[:2]])


def _bucket(backend: S3Backend, name: str) -> FakeBucket | None:
    try:
        return backend.get_bucket(name)
    except MissingBucket:
        return None


def _current(bucket: FakeBucket, key: str) -> FakeKey | None:
    current = bucket.keys.get(key)
    return current if isinstance(current, FakeKey) else None


def _check_source(backend: S3Backend, request: Request, source: tuple[str, str, str | None]) -> None:
    """Owner and conditions of what is copied. What is not there is left to moto to tell."""
    bucket = _bucket(backend, source[0])
    if bucket is None:
        return
    check_owner(request, "x-amz-source-expected-bucket-owner", bucket.account_id)
    key = backend.get_object(source[0], source[1], version_id=source[2])
    if key is not None:
        check_copy_source(request, key)


def _upload(call: ApiRequest, request: Request, bucket: FakeBucket, key: str) -> FakeMultipart | None:
    """The upload in parts that a call is about; None if it is over and the call may be answered all the same."""
    upload_id = request.args["uploadId"]
    upload: FakeMultipart | None = bucket.multiparts.get(upload_id)
    current = _current(bucket, key)
    is_completing = call.operation == "CompleteMultipartUpload"
    if upload is None:
        # Completing once more is answered alike, for a client that lost the answer.
        if not (is_completing and current is not None and current.multipart and current.multipart.id == upload_id):
            raise AwsError(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
                "aborted or completed.",
                404,
            )
    elif is_completing:
        check_write(request, key, current)
    return upload


def _lost(
    call: ApiRequest,
    request: Request,
    payload: Payload | None,
    backend: S3Backend,
    source: tuple[str, str, str | None] | None,
) -> Answer | None:
    """The answer to a write that is then forgotten; None where moto is to tell what is wrong with it."""
    if source is not None:
        key = backend.get_object(source[0], source[1], version_id=source[2])
        onto_itself = "/".join(source[:2]) == call.resource
        if not isinstance(key, FakeKey) or (onto_itself and request.headers.get(_DIRECTIVE) != "REPLACE"):
            return None
        return lost_copy(key)
    if payload is None:
        return lost_deletion()
    return lost_deletions(payload) if call.operation == "DeleteObjects" else lost_put(payload)


def _moto_answer(call: ApiRequest, request: Request, moto: Callable[[], Answer], exists: bool = True) -> Answer:
    """moto's answer. ``exists`` says whether the object is there, where there is one to speak of."""
    try:
        status, headers, content = moto()
        return status, headers, as_bytes(content)
    except ExpatError as error:
        raise malformed_xml() from error
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        # moto takes what it needs from parameters, XML and objects without asking whether it is there.
        if not exists:
            raise no_such_key(call.resource.partition("/")[2]) from error
        carries_xml = request.method in ("PUT", "POST") and call.operation not in _NO_XML
        if not carries_xml and not request.args:
            raise
        logger.warning("%s is taken for a bad request: moto stumbled over it.", call.operation, exc_info=True)
        if carries_xml:
            raise malformed_xml() from error
        raise AwsError("InvalidArgument", f"Invalid argument: {', '.join(request.args)}") from error
