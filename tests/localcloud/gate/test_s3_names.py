"""Every operation of S3 is known by its name, from the request alone."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core.request import normalize_request

from cloudtune.localcloud.gate.s3_request import read_s3_request

MODEL = botocore.session.get_session().get_service_model("s3")
#: Old names of the same requests, and what is for hosts of its own.
OTHER_NAMES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListBucketAnalyticsConfigurations": "GetBucketAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetBucketIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetBucketInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetBucketMetricsConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
    "ListObjectAnnotations": "GetObjectAnnotation",
}
ELSEWHERE = {"WriteGetObjectResponse"}


def value_of(shape: Shape, name: str = "") -> Any:
    if isinstance(shape, StructureShape):
        members = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
        return {member: value_of(shape.members[member], member) for member in members}
    if isinstance(shape, ListShape):
        return [value_of(shape.member)]
    if isinstance(shape, MapShape):
        return {}
    if shape.type_name == "string":
        if name in ("Bucket", "Key"):
            return {"Bucket": "my-bucket", "Key": "folder/my key+ü"}[name]
        if name == "CopySource":
            return "other/key"
        return shape.enum[0] if shape.enum else "x"
    return {"integer": 1, "long": 1, "boolean": True, "blob": b"x", "timestamp": 0}[shape.type_name]


@pytest.mark.parametrize("style", ["path", "virtual"])
@pytest.mark.parametrize("operation", sorted(set(MODEL.operation_names) - ELSEWHERE))
def test_a_request_is_read_as_the_operation_it_is(operation: str, style: str) -> None:
    """boto3 writes a request of each operation, we read its name, bucket and key back, in both styles of addressing."""
    seen = []
    config = Config(signature_version=UNSIGNED, parameter_validation=False, s3={"addressing_style": style})
    s3 = boto3.client("s3", region_name="us-east-1", config=config)

    def capture(request: Any, **_: Any) -> AWSResponse:
        seen.append(read_s3_request(normalize_request(request)))
        raise InterruptedError

    s3.meta.events.register_first(f"before-send.s3.{operation}", capture)
    shape = MODEL.operation_model(operation).input_shape
    parameters = value_of(shape) if shape is not None else {}
    with pytest.raises(InterruptedError):
        s3._make_api_call(operation, parameters)
    assert seen[0].operation == OTHER_NAMES.get(operation, operation)
    expected = [parameters[name] for name in ("Bucket", "Key") if name in parameters]
    assert seen[0].resource == "/".join(expected)
    assert seen[0].protocol == "s3"
