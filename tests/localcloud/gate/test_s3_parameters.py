"""Parameters and headers of S3 that make no sense: refused or left aside as S3 does it, never a broken server."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

import pytest
from botocore.config import Config

from cloudtune.localcloud import LocalCloud
from tests.localcloud.gate.stand_in import StandIn, client
from tests.localcloud.gate.test_s3_requests import BUCKET, send

DIGITS = "9" * 5_000


@pytest.fixture
def s3(cloud: StandIn) -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"0123456789")
    return s3


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/?max-keys={DIGITS}", 400, "InvalidArgument"),
        ("GET", f"/?list-type=2&max-keys={DIGITS}", 400, "InvalidArgument"),
        ("PUT", f"/a?uploadId=x&partNumber={DIGITS}", 400, "InvalidArgument"),
        ("GET", f"/a?Signature=x&Expires={DIGITS}", 403, "AccessDenied"),
        ("GET", "/a?Signature=x&Expires=%C2%B2", 403, "AccessDenied"),
        ("GET", f"/a?X-Amz-Date=20260101T000000Z&X-Amz-Expires={DIGITS}", 400, "AuthorizationQueryParametersError"),
        ("GET", f"/a?X-Amz-Date=20260101T000000Z&X-Amz-Expires={'9' * 400}", 400, "AuthorizationQueryParametersError"),
        ("GET", "/a?response-content-type=a%0d%0aX-Evil:%20y", 400, "InvalidArgument"),
        ("GET", "/a?response-content-disposition=%E4%B8%AD", 400, "InvalidArgument"),
        ("GET", "/a?response-content-language=%00", 400, "InvalidArgument"),
    ],
)
def test_values_without_sense_are_named(s3: Any, method: str, path: str, status: int, code: str) -> None:
    """Numbers that no computer counts to, and answers' headers that HTTP cannot carry."""
    answered, told = send(method, path)
    assert (answered, f"<Code>{code}</Code>".encode() in told) == (status, True), told


def test_headers_of_the_answer_may_be_in_any_latin_script(s3: Any) -> None:
    """What HTTP can carry comes back as it was asked for."""
    found = s3.get_object(Bucket=BUCKET, Key="a", ResponseContentDisposition='attachment; filename="\xe9\t1"')
    assert found["ContentDisposition"] == 'attachment; filename="\xe9\t1"'


@pytest.mark.parametrize(
    ("header", "status", "content"),
    [
        ("bytes=0-1", 206, b"01"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-2", 206, b"89"),
        (f"bytes=8-{DIGITS}", 206, b"89"),
        ("chars=0-1", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("bytes=0-1=2", 200, b"0123456789"),
        ("bytes", 200, b"0123456789"),
        ("bytes=1_0-", 200, b"0123456789"),
        (f"bytes=-{DIGITS}", 206, b"0123456789"),
    ],
)
def test_ranges(s3: Any, header: str, status: int, content: bytes) -> None:
    """What is no range of bytes is left aside, as S3 and HTTP have it."""
    assert send("GET", "/a", Range=header) == (status, content)


def test_a_range_behind_the_end(s3: Any) -> None:
    """However far."""
    for begin in ("10", DIGITS):
        status, told = send("GET", "/a", Range=f"bytes={begin}-")
        assert (status, b"<Code>InvalidRange</Code>" in told) == (416, True)


@pytest.mark.parametrize("header", ["If_Modified_Since", "If_Unmodified_Since"])
@pytest.mark.parametrize("date", ["Sat, 99 Zzz 99999 00:00:00 GMT", "Sat, 31 Feb 0000 00:00:00 GMT", "now", DIGITS])
def test_dates_that_are_none_are_left_aside(s3: Any, header: str, date: str) -> None:
    """As HTTP has it, in reads and in copies."""
    assert send("GET", "/a", b"", **{header: date})[0] == 200
    assert send("HEAD", "/a", b"", **{header: date})[0] == 200
    copied = {"x_amz_copy_source": f"/{BUCKET}/a", f"x_amz_copy_source_{header}": date}
    assert send("PUT", "/b", b"", **copied)[0] == 200


@pytest.mark.parametrize(
    ("date", "status"),
    [
        ("Fri, 01 Jan 2100 00:00:00 GMT", 304),
        ("Friday, 01-Jan-2100 00:00:00 GMT", 304),
        ("Fri, 01 Jan 2100 00:00:00 +0200", 304),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
    ],
)
def test_dates_in_all_forms_of_http_count(s3: Any, date: str, status: int) -> None:
    """Also those that nobody should write any more."""
    assert send("GET", "/a", If_Modified_Since=date)[0] == status


def test_a_key_with_line_ends(local_cloud: LocalCloud) -> None:
    """It is a key as any other, over HTTP too."""
    s3 = local_cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for key in ("a\nb", "\n", "a\r\n/b\n"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["\n", "a\nb", "a\r\n/b\n"]
    s3.delete_object(Bucket=BUCKET, Key="a\nb")
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2


@pytest.mark.parametrize("value", ["a\r\nX-Evil: y", "中"])
def test_presigned_answers_over_http(local_cloud: LocalCloud, value: str) -> None:
    """The connection is answered, with no header that was not meant."""
    s3 = local_cloud.client("s3", config=Config(signature_version="s3v4"))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "a", "ResponseContentType": value})
    assert quote(value) in url
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=60)
    with caught.value as answer:
        assert (answer.code, answer.headers["X-Evil"]) == (400, None)
