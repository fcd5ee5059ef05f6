"""What moto would keep for ever."""

from __future__ import annotations

import gc
from typing import Any

import psutil
import pytest
from moto import mock_aws
from moto.core.model_instances import model_data, reset_model_data
from moto.s3.models import FakeKey, FakeMultipart

from cloudtune.localcloud.gate.seams import Seams
from cloudtune.localcloud.settings import CloudSettings
from tests.localcloud.gate.stand_in import StandIn, client, open_gate

LARGE = 6 * 1024 * 1024  # moto keeps what is larger than 5 MiB in a temporary file


def open_files() -> int:
    return psutil.Process().num_fds()


def tracked() -> int:
    return sum(len(vars(model)["instances_tracked"]) for models in model_data.values() for model in models.values())


def test_a_key_that_is_written_a_thousand_times_is_kept_once(cloud: StandIn) -> None:
    """moto would note every version for its dashboard, with its content."""
    s3 = client("s3")
    s3.create_bucket(Bucket="models")
    gc.collect()
    # Not isinstance, which asks objects of other tests' libraries for their __class__: some of torch's warn.
    before = sum(issubclass(type(each), FakeKey) for each in gc.get_objects())
    for number in range(1000):
        s3.put_object(Bucket="models", Key="a", Body=str(number).encode())
    reset_model_data()  # puts new lists there; they stay empty too
    s3.put_object(Bucket="models", Key="a", Body=b"last")
    assert FakeKey.instances_tracked == []  # type: ignore[attr-defined]
    gc.collect()
    assert sum(issubclass(type(each), FakeKey) for each in gc.get_objects()) - before <= 1


def test_no_model_is_tracked_while_a_cloud_is_open(cloud: StandIn) -> None:
    """Users, roles, queues, metrics: the same for all."""
    before = tracked()
    client("iam").create_role(RoleName="tuning", AssumeRolePolicyDocument="{}")
    client("logs").create_log_group(logGroupName="group")
    client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/tuning", RoleSessionName="session")
    assert tracked() == before


def test_moto_tracks_again_once_the_cloud_is_closed() -> None:
    """Whoever uses moto for himself afterwards finds it as it was."""
    with open_gate():
        pass
    with mock_aws():
        client("iam").create_user(UserName="somebody")
        assert tracked() > 0


def test_large_objects_that_were_replaced_leave_no_open_file(cloud: StandIn) -> None:
    """Also those that came in parts, whose parts moto would keep beside them."""
    s3 = client("s3")
    s3.create_bucket(Bucket="models")
    before = open_files()
    for _ in range(5):
        s3.put_object(Bucket="models", Key="a", Body=bytes(LARGE))
    assert open_files() == before + 1
    for _ in range(3):
        upload = s3.create_multipart_upload(Bucket="models", Key="a")["UploadId"]
        parts = []
        for number in (1, 2):
            part = s3.upload_part(Bucket="models", Key="a", UploadId=upload, PartNumber=number, Body=bytes(LARGE))
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        s3.complete_multipart_upload(Bucket="models", Key="a", UploadId=upload, MultipartUpload={"Parts": parts})
    assert open_files() == before + 1
    assert s3.head_object(Bucket="models", Key="a", PartNumber=2)["ContentLength"] == LARGE
    assert len(s3.get_object(Bucket="models", Key="a")["Body"].read()) == 2 * LARGE
    upload = s3.create_multipart_upload(Bucket="models", Key="b")["UploadId"]
    s3.upload_part(Bucket="models", Key="b", UploadId=upload, PartNumber=1, Body=bytes(LARGE))
    s3.abort_multipart_upload(Bucket="models", Key="b", UploadId=upload)
    s3.delete_object(Bucket="models", Key="a")
    assert open_files() == before


@pytest.mark.parametrize("order", ["moto first", "cloud first"])
def test_what_is_left_when_a_cloud_closes_is_closed_by_motos_reset(order: str) -> None:
    """Objects of all versions and unfinished uploads, without a warning, whichever of the two ends before the other."""
    before = open_files()
    seams, moto = Seams(StandIn(CloudSettings()).platform), mock_aws()
    ends = [moto.stop, seams.uninstall] if order == "moto first" else [seams.uninstall, moto.stop]
    seams.install()
    moto.start()
    try:
        s3 = client("s3")
        s3.create_bucket(Bucket="models")
        s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
        for _ in range(2):
            s3.put_object(Bucket="models", Key="a", Body=bytes(LARGE))
        upload = s3.create_multipart_upload(Bucket="models", Key="b")["UploadId"]
        s3.upload_part(Bucket="models", Key="b", UploadId=upload, PartNumber=1, Body=bytes(LARGE))
    finally:
        for end in ends:
            end()
    gc.collect()
    assert open_files() == before
    assert FakeMultipart.__dict__["instances_tracked"] == []


def test_parts_of_a_large_object_are_read_by_themselves(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges, parts of copies, copies and the whole are what was written, and none of the former reads the latter."""
    s3 = client("s3")
    s3.create_bucket(Bucket="models")
    content = b"".join(number.to_bytes(8, "big") for number in range(3 * 1024 * 1024))  # 24 MiB
    s3.put_object(Bucket="models", Key="large", Body=content)
    assert s3.get_object(Bucket="models", Key="large")["Body"].read() == content
    s3.copy_object(Bucket="models", Key="copy", CopySource="models/large")
    assert s3.get_object(Bucket="models", Key="copy")["Body"].read() == content

    (key,) = (each for each in gc.get_objects() if issubclass(type(each), FakeKey) and each.name == "large")
    monkeypatch.setattr(key, "_value_buffer", _Unreadable(key._value_buffer))
    half = len(content) // 2
    answer = s3.get_object(Bucket="models", Key="large", Range=f"bytes={half}-{half + 999}")
    assert answer["ContentRange"] == f"bytes {half}-{half + 999}/{len(content)}"
    assert answer["Body"].read() == content[half : half + 1000]
    upload = s3.create_multipart_upload(Bucket="models", Key="parts")["UploadId"]
    into = {"Bucket": "models", "Key": "parts", "UploadId": upload}
    parts = [
        s3.upload_part_copy(**into, PartNumber=number, CopySource="models/large", CopySourceRange=f"bytes={span}")
        for number, span in ((1, f"0-{half - 1}"), (2, f"{half}-{len(content) - 1}"))
    ]
    etags = [{"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]} for number, part in enumerate(parts, 1)]
    s3.complete_multipart_upload(**into, MultipartUpload={"Parts": etags})
    assert s3.get_object(Bucket="models", Key="parts")["Body"].read() == content


class _Unreadable:
    """A file that is not to be read from its beginning to its end."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, *_: int) -> bytes:
        raise AssertionError("the whole object was read")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
