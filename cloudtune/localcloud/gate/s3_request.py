"""Which operation of S3 a request is, and on which object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from os.path import commonprefix
from urllib.parse import unquote
from xml.sax.saxutils import unescape

from moto.core.request import Request
from moto.core.utils import get_service_model
from moto.s3.responses import S3Response
from moto.s3.utils import bucket_name_from_url

from cloudtune.localcloud.gate.api_request import ApiRequest

#: What a method means without a subresource.
_OBJECT = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_BUCKET = {
    "HEAD": "HeadBucket",
    "PUT": "CreateBucket",
    "DELETE": "DeleteBucket",
    "GET": "ListObjects",
    "POST": "PostObject",
}


def read_s3_request(request: Request) -> ApiRequest:
    """Reads a request to S3; ``resource`` is the bucket, or bucket and key. Never raises."""
    bucket, key = _place(request)
    operation = _operation(request, bucket, key)
    about = _about(request, operation, bucket)
    return ApiRequest("s3", operation, resource=f"{bucket}/{key}" if key else bucket, about=about)


def _about(request: Request, operation: str, bucket: str) -> str:
    """See :class:`~cloudtune.localcloud.gate.call_log.Call`."""
    if operation in ("ListObjectsV2", "ListObjects"):
        return str(request.args.get("prefix", ""))
    if operation in ("CopyObject", "UploadPartCopy"):
        return unquote(request.headers["x-amz-copy-source"].partition("?")[0]).removeprefix("/")
    if operation == "DeleteObjects":
        keys = [unescape(key.decode("utf-8", "replace")) for key in _KEY.findall(request.get_data())]
        return f"{bucket}/{commonprefix(keys)}"  # noqa: RUF071 - keys are no paths
    return ""


def _place(request: Request) -> tuple[str, str]:
    path = unquote(request.raw_path)
    if _is_path_style(request):
        bucket, _, key = path[1:].partition("/")
        return bucket, key
    return bucket_name_from_url(request.raw_url) or "", path[1:]


def _is_path_style(request: Request) -> bool:
    host = request.headers.get("Host", "")
    return host.startswith(("127.0.0.1", "localhost")) or not S3Response.subdomain_based_buckets(request)


def _operation(request: Request, bucket: str, key: str) -> str:
    method, query = request.method, request.args
    if not bucket:
        return "ListBuckets"
    if not key:
        if method == "GET" and query.get("list-type") == "2":
            return "ListObjectsV2"
        if method == "POST" and "delete" in query:
            return "DeleteObjects"
        return _by_subresource(method, "bucket", query) or _BUCKET.get(method, f"{method.title()}Bucket")
    if "uploadId" in query:
        return _part_operation(request)
    if method == "PUT" and "x-amz-copy-source" in request.headers and not _by_subresource(method, "key", query):
        return "CopyObject"
    return _by_subresource(method, "key", query) or _OBJECT.get(method, f"{method.title()}Object")


def _part_operation(request: Request) -> str:
    if request.method == "PUT":
        return "UploadPartCopy" if "x-amz-copy-source" in request.headers else "UploadPart"
    return {"POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}.get(request.method, "ListParts")


def _by_subresource(method: str, level: str, query: Mapping[str, str]) -> str:
    """For requests like ``GET /bucket?versioning``; an empty string for all others."""
    if not query:
        return ""
    table = _subresources()
    return next((table[method, level, name] for name in query if (method, level, name) in table), "")


@cache
def _subresources() -> dict[tuple[str, str, str], str]:
    """(method, level, first parameter) -> operation, from AWS's own model as botocore ships it."""
    model = get_service_model("s3")
    table: dict[tuple[str, str, str], str] = {}
    operations = [model.operation_model(name) for name in model.operation_names]
    for operation in sorted(operations, key=lambda operation: operation.deprecated):
        path, _, query = operation.http["requestUri"].partition("?")
        if query and "{Bucket}" in path:
            level = "key" if "{Key+}" in path else "bucket"
            name = query.partition("&")[0].partition("=")[0]
            table.setdefault((operation.http["method"], level, name), operation.name)
    return table
