"""Writes to S3 that are answered with success and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from cloudtune.localcloud.fault import ONLY_FOR, Fault
from tests.localcloud.gate.stand_in import StandIn, client

#: S3's least size of a part that is not the last.
PART = 5 << 20


@pytest.fixture
def s3(cloud: StandIn) -> Iterator[Any]:
    """A client, and a bucket with an object."""
    s3 = client("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="a", Body=b"1")
    yield s3
    assert all(call.status < 500 for call in cloud.calls.calls())


def lose(cloud: StandIn, **fields: Any) -> int:
    return cloud.faults.add(Fault("write_lost", **fields))


def objects(s3: Any, bucket: str = "models") -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed}


def upload_in_parts(s3: Any, key: str, sizes: tuple[int, ...] = (PART, 3)) -> tuple[str, list[dict[str, Any]]]:
    """Id and parts of an upload that is yet to be completed."""
    upload = s3.create_multipart_upload(Bucket="models", Key=key)["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(
                Bucket="models", Key=key, UploadId=upload, PartNumber=number, Body=bytes([number]) * size
            )["ETag"],
        }
        for number, size in enumerate(sizes, 1)
    ]
    return upload, parts


def complete(s3: Any, key: str, upload: str, parts: list[dict[str, Any]], **more: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket="models", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
    )


def test_a_lost_completion(cloud: StandIn, s3: Any) -> None:
    """The answer is that of a success, ETag and all; there is no object, and the upload is over."""
    kept = complete(s3, "kept", *upload_in_parts(s3, "kept"))
    upload, parts = upload_in_parts(s3, "b & c")
    number = lose(cloud, operation="s3:CompleteMultipartUpload")
    lost = complete(s3, "b & c", upload, parts)
    assert (lost["ETag"], lost["Bucket"], lost["Key"]) == (kept["ETag"], "models", "b & c")
    assert lost["Location"].endswith("/b & c")
    assert [call.fault for call in cloud.calls.calls("s3:CompleteMultipartUpload")] == ["", "write_lost"]
    cloud.faults.remove(number)
    assert set(objects(s3)) == {"a", "kept"}
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.list_parts(Bucket="models", Key="b & c", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="models")


def test_a_large_file_of_boto3_is_lost(cloud: StandIn, s3: Any, tmp_path: Any) -> None:
    """boto3 sends what is above 8 MB in parts: what it says is uploaded is not there."""
    (tmp_path / "large").write_bytes(bytes(9 << 20))
    lose(cloud)
    s3.upload_file(str(tmp_path / "large"), "models", "large", Config=TransferConfig(use_threads=False))
    assert cloud.calls.calls("s3:CompleteMultipartUpload")[0].fault == "write_lost"
    assert set(objects(s3)) == {"a"}


def test_a_lost_completion_that_s3_would_refuse(cloud: StandIn, s3: Any) -> None:
    """It is refused as without the fault, and the upload can still be completed."""
    upload, parts = upload_in_parts(s3, "b")
    lose(cloud)
    wrong = [{"PartNumber": 1, "ETag": '"0123456789abcdef0123456789abcdef"'}]
    for given, error in ((parts[::-1], "InvalidPartOrder"), (wrong, "InvalidPart"), ([], "MalformedXML")):
        with pytest.raises(ClientError, match=error):
            complete(s3, "b", upload, given)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        complete(s3, "a", *upload_in_parts(s3, "a"), IfNoneMatch="*")
    small, few = upload_in_parts(s3, "small", (3, 3))
    with pytest.raises(ClientError, match="EntityTooSmall"):
        complete(s3, "small", small, few)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        complete(s3, "b", "never", parts)
    cloud.faults.clear()
    complete(s3, "b", upload, parts)
    assert set(objects(s3)) == {"a", "b"}


def test_a_lost_copy(cloud: StandIn, s3: Any) -> None:
    """The answer is that of a success; nothing is copied. What S3 would refuse is refused."""
    kept = s3.copy_object(Bucket="models", Key="kept", CopySource="models/a")
    lose(cloud, operation="s3:CopyObject")
    lost = s3.copy_object(Bucket="models", Key="b", CopySource="models/a")
    assert lost["CopyObjectResult"]["ETag"] == kept["CopyObjectResult"]["ETag"]
    age = kept["CopyObjectResult"]["LastModified"] - lost["CopyObjectResult"]["LastModified"]
    assert abs(age.total_seconds()) < 60
    again = s3.copy_object(
        Bucket="models", Key="a", CopySource="models/a", Metadata={"x": "y"}, MetadataDirective="REPLACE"
    )
    assert again["CopyObjectResult"]["ETag"] == kept["CopyObjectResult"]["ETag"]
    for key, source, error in (
        ("b", "models/none", "NoSuchKey"),
        ("b", "nowhere/a", "NoSuchBucket"),
        ("a", "models/a", "InvalidRequest"),
    ):
        with pytest.raises(ClientError, match=error):
            s3.copy_object(Bucket="models", Key=key, CopySource=source)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.copy_object(Bucket="models", Key="b", CopySource="models/a", CopySourceIfMatch='"other"')
    assert objects(s3) == {"a": b"1", "kept": b"1"}
    assert s3.head_object(Bucket="models", Key="a")["Metadata"] == {}


def test_lost_deletions(cloud: StandIn, s3: Any) -> None:
    """DeleteObjects names what it has deleted, or says nothing when asked to be quiet; all is still there."""
    s3.put_object(Bucket="models", Key="b <&> c", Body=b"2")
    number = lose(cloud, operation="s3:DeleteObjects")
    some = [{"Key": "a"}, {"Key": "b <&> c"}, {"Key": "never", "VersionId": "1"}]
    answer = s3.delete_objects(Bucket="models", Delete={"Objects": some})
    assert answer["Deleted"] == some
    assert "Errors" not in answer
    quiet = s3.delete_objects(Bucket="models", Delete={"Objects": some, "Quiet": True})
    assert "Deleted" not in quiet
    with pytest.raises(ClientError, match="MalformedXML"):
        s3.delete_objects(Bucket="models", Delete={"Objects": []})
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.delete_objects(Bucket="nowhere", Delete={"Objects": some})
    assert set(objects(s3)) == {"a", "b <&> c"}
    cloud.faults.remove(number)
    s3.delete_objects(Bucket="models", Delete={"Objects": some[:2]})
    assert objects(s3) == {}


def test_a_lost_write_is_one_of_the_operations_it_is_for(cloud: StandIn, s3: Any) -> None:
    """Every operation that the fault names takes part; parts themselves and all else are stored as ever."""
    lose(cloud, count=5)
    upload, parts = upload_in_parts(s3, "parts")
    s3.put_object(Bucket="models", Key="b", Body=b"2")
    s3.copy_object(Bucket="models", Key="b", CopySource="models/a")
    s3.delete_object(Bucket="models", Key="a")
    s3.delete_objects(Bucket="models", Delete={"Objects": [{"Key": "a"}]})
    complete(s3, "parts", upload, parts)
    assert {fired.case.operation for fired in cloud.faults.fired()} == set(ONLY_FOR["write_lost"])
    assert objects(s3) == {"a": b"1"}
