"""Requests to S3 that are to be refused: wrong content, wrong owner, too late, or without sense."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import zlib
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.request import Request
from moto.s3.models import s3_backends

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.gate.s3_payload import Payload
from tests.localcloud.gate.stand_in import StandIn, client

BUCKET = "models"
HOST = f"https://{BUCKET}.s3.amazonaws.com"


@pytest.fixture
def s3(cloud: StandIn) -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    return s3


def send(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    names.setdefault(
        "Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/s3/aws4_request, Signature=x"
    )
    request = AWSRequest(method, HOST + path, data=body, headers=names).prepare()
    status, _, content = BotocoreStubber().process_request(request) or (0, {}, b"")
    return status, content.encode() if isinstance(content, str) else content


def digest(name: str, content: bytes) -> str:
    raw = zlib.crc32(content).to_bytes(4, "big") if name == "crc32" else hashlib.new(name, content).digest()
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "header", ["Content-MD5", "x-amz-checksum-crc32", "x-amz-checksum-sha1", "x-amz-checksum-sha256"]
)
def test_content_that_was_damaged_on_its_way_is_refused(s3: Any, header: str) -> None:
    """The right checksum passes, a wrong one is BadDigest and nothing is stored, nonsense is named as such."""
    name = header.rpartition("-")[2].lower()
    assert send("PUT", "/b", b"content", **{header: digest(name, b"content")})[0] == 200
    status, answer = send("PUT", "/b", b"contemt", **{header: digest(name, b"content")})
    assert (status, b"<Code>BadDigest</Code>" in answer) == (400, True)
    assert s3.get_object(Bucket=BUCKET, Key="b")["Body"].read() == b"content"
    status, answer = send("PUT", "/b", b"content", **{header: "nonsense"})
    code = b"InvalidDigest" if name == "md5" else b"InvalidRequest"
    assert (status, b"<Code>" + code + b"</Code>" in answer) == (400, True)


@pytest.mark.parametrize("name", ["CRC32", "SHA256"])
def test_checksums_in_trailers_are_checked(s3: Any, name: str) -> None:
    """boto3 sends streams in chunks with the checksum behind them; what arrives is stored without them."""
    s3.put_object(Bucket=BUCKET, Key="b", Body=io.BytesIO(b"content"), ChecksumAlgorithm=name)
    assert s3.get_object(Bucket=BUCKET, Key="b")["Body"].read() == b"content"
    right = digest(name.lower(), b"content")
    for trailer, code in ((right, b""), (digest(name.lower(), b"other"), b"BadDigest")):
        body = b"7\r\ncontent\r\n0\r\nx-amz-checksum-%s:%s\r\n\r\n" % (name.lower().encode(), trailer.encode())
        status, answer = send(
            "PUT", "/c", body, x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER", Content_Encoding="aws-chunked"
        )
        assert (status == 200) == (not code)
        assert code in answer


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.booleans())
def test_chunks_are_put_together_again(chunks: list[bytes], signed: bool) -> None:
    """Whatever the content, even if it looks like the frame around it."""
    signature = b";chunk-signature=0123" if signed else b""
    frames = [b"%x%s\r\n%s\r\n" % (len(chunk), signature, chunk) for chunk in chunks]
    body = b"".join(frames) + b"0" + signature + b"\r\nx-amz-checksum-crc32: AAAA\r\n\r\n"
    length = sum(len(chunk) for chunk in chunks)
    headers = {
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(length),
    }
    payload = Payload(Request.from_primitives("PUT", f"{HOST}/a", headers, body))
    assert b"".join(payload.pieces) == b"".join(chunks)
    assert payload.md5() == hashlib.md5(b"".join(chunks)).hexdigest()
    assert payload.trailers == {"x-amz-checksum-crc32": "AAAA"}


BROKEN = [b"5\r\nabc", b"-1\r\n", b"zz\r\n", b"3\r\nabc\r\n", b"ffffffffffff\r\nabc"]


@given(st.binary(max_size=60) | st.sampled_from(BROKEN))
def test_chunks_that_are_not_whole_are_refused(body: bytes) -> None:
    """Any bytes at all: they are content, or IncompleteBody."""
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    request = Request.from_primitives("PUT", f"{HOST}/a", headers, body)
    code = ""
    try:
        assert sum(len(piece) for piece in Payload(request).pieces) < len(body)
    except AwsError as error:
        code = error.code
    assert code in ("", "IncompleteBody")
    assert code or body not in BROKEN


def test_content_shorter_than_announced_is_refused(s3: Any) -> None:
    """The frame is whole, but a chunk is missing: nothing is stored."""
    body = b"7\r\ncontent\r\n0\r\n\r\n"
    for length, status in (("7", 200), ("14", 400)):
        headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": length}
        assert send("PUT", f"/{length}", body, **headers)[0] == status
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["7", "a"]


OWNED = [
    ("put_object", {"Key": "b", "Body": b""}),
    ("get_object", {"Key": "a"}),
    ("delete_object", {"Key": "a"}),
    ("list_objects_v2", {}),
    ("create_multipart_upload", {"Key": "b"}),
    ("copy_object", {"Key": "b", "CopySource": f"{BUCKET}/a"}),
    ("delete_objects", {"Delete": {"Objects": [{"Key": "a"}]}}),
]


@pytest.mark.parametrize(("operation", "arguments"), OWNED, ids=[name for name, _ in OWNED])
def test_a_bucket_of_somebody_else_is_not_touched(s3: Any, operation: str, arguments: dict[str, Any]) -> None:
    """ExpectedBucketOwner guards against bucket names that another account has taken."""
    call = getattr(s3, operation)
    with pytest.raises(ClientError) as raised:
        call(Bucket=BUCKET, ExpectedBucketOwner="210987654321", **arguments)
    assert raised.value.response["Error"]["Code"] == "AccessDenied"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["a"]
    call(Bucket=BUCKET, ExpectedBucketOwner="123456789012", **arguments)


def test_the_source_of_a_copy_has_an_owner_too(s3: Any) -> None:
    """Likewise."""
    arguments = {"Bucket": BUCKET, "Key": "b", "CopySource": f"{BUCKET}/a"}
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.copy_object(**arguments, ExpectedSourceBucketOwner="210987654321")
    s3.copy_object(**arguments, ExpectedSourceBucketOwner="123456789012")


@pytest.mark.parametrize("version", [4, 2])
def test_a_presigned_request_is_good_until_it_expires(s3: Any, version: int) -> None:
    """Signatures of both kinds; the moment is that of the client's clock, whatever the cloud's."""
    for seconds, status in ((60, 200), (-60, 403)):
        signed = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=seconds - 600)
        if version == 4:
            query = f"X-Amz-Date={signed:%Y%m%dT%H%M%SZ}&X-Amz-Expires=600&X-Amz-Credential=AKID/1/us-east-1/s3/x"
        else:
            query = f"AWSAccessKeyId=AKID&Signature=x&Expires={int(signed.timestamp()) + 600}"
        answer = send("GET", f"/a?{query}")
        assert answer[0] == status
        assert (b"Request has expired" in answer[1]) == (status == 403)


SENSELESS = [
    ("GET", "/?list-type=2&max-keys=many", b"", 400, "InvalidArgument"),
    ("GET", "/?list-type=2&max-keys=-1", b"", 400, "InvalidArgument"),
    ("GET", "/?list-type=2&continuation-token=invented", b"", 400, "InvalidArgument"),
    ("PUT", "/a?uploadId=none&partNumber=1", b"x", 404, "NoSuchUpload"),
    ("PUT", "/a?uploadId=none&partNumber=x", b"x", 400, "InvalidArgument"),
    ("PUT", "/a?uploadId=none&partNumber=10001", b"x", 400, "InvalidArgument"),
    ("PUT", "/a?uploadId=none", b"x", 400, "InvalidArgument"),
    ("POST", "/a?uploadId=none", b"<x/>", 404, "NoSuchUpload"),
    ("DELETE", "/a?uploadId=none", b"", 404, "NoSuchUpload"),
    ("GET", "/a?uploadId=none", b"", 404, "NoSuchUpload"),
    ("POST", "/?delete", b"<Delete", 400, "MalformedXML"),
    ("POST", "/?delete", b"<Other/>", 400, "MalformedXML"),
    ("POST", "/?delete", b"", 400, "MalformedXML"),
    ("PUT", "/?tagging", b"<Tagging/>", 400, "MalformedXML"),
    ("PUT", "/" + "k" * 1025, b"", 400, "KeyTooLongError"),
    ("GET", "/nothing", b"", 404, "NoSuchKey"),
    ("POST", "/a?restore", b"no xml", 400, "MalformedXML"),
    ("POST", "/a", b"", 405, "MethodNotAllowed"),
    ("PATCH", "/a", b"", 405, "MethodNotAllowed"),
    ("PUT", "/a?retention", b"<x/>", 400, ""),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), SENSELESS)
def test_a_request_without_sense_gets_the_error_of_s3(
    s3: Any, cloud: StandIn, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    """Never a 500, which boto3 would repeat."""
    found, answer = send(method, path, body)
    assert found == status
    assert f"<Code>{code}".encode() in answer
    assert cloud.calls.calls()[-1].status == status


@pytest.mark.parametrize("source", ["nothing", "/", f"{BUCKET}/", "%%%"])
def test_a_copy_needs_a_source(s3: Any, source: str) -> None:
    """A name that is no bucket and key is told so."""
    status, answer = send("PUT", "/b", x_amz_copy_source=source)
    assert (status, b"InvalidArgument" in answer) == (400, True)


PATHS = st.sampled_from(["/", "/key", "/a//b", "/%00", "/%FF", "/..", "/?"])
PARAMETERS = ["delete", "uploads", "uploadId", "partNumber", "acl", "tagging", "versions", "list-type", "max-keys"]
PARAMETERS += ["prefix", "continuation-token", "versionId", "policy", "lifecycle", "location"]
QUERIES = st.dictionaries(st.sampled_from(PARAMETERS), st.sampled_from(["", "1", "x", "%00", "-1"]), max_size=3)


def test_no_request_at_all_makes_the_server_fail(s3: Any) -> None:
    """Requests made up of all that S3 knows: answers, refusals, never a 500 and never an exception."""
    backend = s3_backends["123456789012"]["aws"]

    @given(
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
        PATHS,
        QUERIES,
        st.sampled_from([b"", b"<", b"<a/>", b"x", b"\xff"]),
    )
    def ask(method: str, path: str, query: dict[str, str], body: bytes) -> None:
        backend.reset()
        backend.create_bucket(BUCKET, "us-east-1", None)
        backend.put_object(BUCKET, "key", b"1")
        text = "&".join(f"{name}={value}" for name, value in query.items())
        status, _ = send(method, f"{path}?{text}", body)
        assert status < 500, (method, path, text, body)

    ask()
