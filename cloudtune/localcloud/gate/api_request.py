"""What a request asks for: operation, parameters, and what it is about."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.request import Request

from cloudtune.localcloud.aws_error import AwsError


@dataclass
class ApiRequest:
    """A request as the gate sees it.

    Args:
        protocol: ``json``, ``query``, ``rest`` or ``s3``: in which form errors are answered.
        operation: Such as ``CreateTrainingJob``; empty if the request names none.
        params: Of the JSON protocol; empty for the others, which moto reads.
        resource: ``bucket/key`` for S3, ``log group/log stream`` for Logs; may be empty.
        job: Name of the training job that is named; may be empty.
        malformed: Why the request cannot be answered; None if it can.
        about: What else its permission depends on, see :class:`~cloudtune.localcloud.gate.call_log.Call`.
    """

    protocol: str
    operation: str
    params: dict[str, Any] = field(default_factory=dict)
    resource: str = ""
    job: str = ""
    malformed: AwsError | None = None
    about: str = ""


def read_request(service: str, request: Request) -> ApiRequest:
    """Reads a request to any service but S3. Never raises: what is wrong with it is in ``malformed``."""
    target = request.headers.get("X-Amz-Target")
    if target is not None:
        return _read_json(service, request, target.rpartition(".")[2])
    path = request.path
    if path != "/":  # sagemaker-metrics: /BatchPutMetrics; CloudWatch in CBOR: /service/…/operation/PutMetricData
        return ApiRequest("rest", path.rstrip("/").rpartition("/")[2])
    read = ApiRequest("query", request.values.get("Action", ""))
    if service == "iam":
        read.about = request.values.get("PolicySourceArn") or request.values.get("RoleName", "")
    return read


def _read_json(service: str, request: Request, operation: str) -> ApiRequest:
    read = ApiRequest("json", operation)
    try:
        body = request.get_data()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        params = json.loads(body) if body else {}
    except (ValueError, OSError, EOFError, zlib.error, RecursionError):
        params = None
    if not isinstance(params, dict):
        read.malformed = AwsError("SerializationException", "The request's body is not a JSON object.")
        return read
    read.params = params
    if service == "logs":
        read.resource = _log_resource(params)
    elif service == "ecr":
        read.about = str(params.get("repositoryName", ""))
    elif service == "sagemaker":
        read.job = _job_name(params)
        role = params.get("RoleArn")
        read.about = role if isinstance(role, str) else ""
    return read


def _log_resource(params: Mapping[str, Any]) -> str:
    group = params.get("logGroupName") or params.get("logGroupIdentifier")
    stream = params.get("logStreamName")
    if not isinstance(group, str):
        return ""
    return f"{group}/{stream}" if isinstance(stream, str) else group


def _job_name(params: Mapping[str, Any]) -> str:
    name = params.get("TrainingJobName")
    if isinstance(name, str):
        return name
    arn = params.get("ResourceArn")
    if isinstance(arn, str) and ":training-job/" in arn:
        return arn.rpartition("/")[2]
    return ""
