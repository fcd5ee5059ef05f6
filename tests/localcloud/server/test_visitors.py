"""Who is answered, on all paths of the server: programs on this machine, no web pages."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from botocore.config import Config

from cloudtune.localcloud import LocalCloud
from tests.localcloud.conftest import BUCKET, ROLE

SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, "
    "Signature=0",
    "Content-Type": "application/x-amz-json-1.1",
}


def ask(
    cloud: LocalCloud, method: str, path: str, headers: dict[str, str], body: bytes = b"", version: int = 11
) -> tuple[int, str]:
    """Status and body of an answer to a request with these headers; PORT in them is the cloud's."""
    address = urlsplit(cloud.endpoint).netloc
    connection = http.client.HTTPConnection(address, timeout=60)
    if version == 10:
        connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value.replace("PORT", address.partition(":")[2]))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:PORT"},
        {"Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "s3.amazonaws.com"},
        {"Host": ""},
        {"Host": "127.0.0.1:PORT", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1:PORT", "Origin": "null"},
        {"Host": "127.0.0.1:PORT", "Origin": "http://127.0.0.1:8888"},
        {"Host": "127.0.0.1:PORT", "Origin": "http://localhost:PORT"},
        {"Host": "127.0.0.1:PORT", "Origin": "https://127.0.0.1:PORT"},
        {"Host": "page.localhost:PORT", "Origin": "http://page.localhost:PORT"},
        {"Host": "127.0.0.1:PORT", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Host": "127.0.0.1:PORT", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "http://127.0.0.1:PORT"},
    ],
)
def test_a_web_page_gets_nothing_done(local_cloud: LocalCloud, headers: dict[str, str]) -> None:
    """No training job, nothing of S3 and no reset, by whatever name the page calls the server."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    request = {
        "TrainingJobName": "page",
        "AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "File", "ContainerEntrypoint": ["id"]},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    target = {**SIGNED, "X-Amz-Target": "SageMaker.CreateTrainingJob"}
    status, told = ask(local_cloud, "POST", "/", {**headers, **target}, json.dumps(request).encode())
    assert (status, json.loads(told)["__type"]) == (403, "AccessDeniedException")
    assert local_cloud.jobs() == []
    for method, path in (("POST", f"/{BUCKET}"), ("DELETE", f"/{BUCKET}"), ("POST", "/moto-api/reset")):
        status, told = ask(local_cloud, method, path, headers)
        assert (status, "<Code>AccessDenied</Code>" in told) == (403, True)
    assert len(local_cloud.client("s3").list_buckets()["Buckets"]) == 1
    assert ask(local_cloud, "POST", "/cloudtune-localcloud/reset", headers)[0] == 403
    assert len(local_cloud.client("s3").list_buckets()["Buckets"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST:1"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:PORT"},
        {"Host": "[::1]:80"},
        {"Host": "s3.localhost:PORT"},
        {"Host": "127.0.0.1:PORT", "Origin": "http://127.0.0.1:PORT"},
        {"Host": "127.0.0.1:PORT", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Host": "127.0.0.1:PORT", "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_names_of_this_machine(local_cloud: LocalCloud, headers: dict[str, str]) -> None:
    """With and without a port, with a bucket before them; and links that somebody follows."""
    navigates = headers.get("Sec-Fetch-Mode") == "navigate"
    target = {} if navigates else {**SIGNED, "X-Amz-Target": "SageMaker.ListTrainingJobs"}
    method, body = ("GET", b"") if navigates else ("POST", b"{}")
    status, told = ask(local_cloud, method, "/", {**headers, **target}, body)
    assert status == 200, told


def test_a_client_of_http_1_0_needs_no_host(local_cloud: LocalCloud) -> None:
    """Browsers always send one. Signed and unsigned, to S3 and to others."""
    target = {**SIGNED, "X-Amz-Target": "SageMaker.ListTrainingJobs"}
    assert ask(local_cloud, "POST", "/", target, b"{}", version=10) == (200, '{"TrainingJobSummaries": []}')
    of_s3 = {"Authorization": SIGNED["Authorization"].replace("sagemaker", "s3")}
    for headers in (of_s3, {}):
        status, told = ask(local_cloud, "GET", "/", headers, version=10)
        assert (status, "ListAllMyBucketsResult" in told) == (200, True)


@pytest.mark.parametrize("name", ["localhost", "s3.localhost", "127.0.0.1"])
def test_a_bucket_before_the_name(local_cloud: LocalCloud, name: str) -> None:
    """S3's virtual-hosted style works below the names of this machine."""
    headers = {"Host": f"{BUCKET}.{name}:PORT", "Authorization": SIGNED["Authorization"].replace("sagemaker", "s3")}
    for method, path, body in (("PUT", "/", b""), ("PUT", "/key", b"content")):
        assert ask(local_cloud, method, path, headers, body) == (200, "")
    assert ask(local_cloud, "GET", "/key", headers) == (200, "content")


def test_boto3_in_all_its_styles(local_cloud: LocalCloud) -> None:
    """By name and by address."""
    for number, style in enumerate(("path", "virtual", "auto")):
        s3 = local_cloud.client("s3", config=Config(s3={"addressing_style": style}))
        if style != "virtual":  # boto3 puts no bucket before an address; before a name the resolver would have to know
            s3.create_bucket(Bucket=f"bucket-{number}")
        assert s3.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/moto-api/data.json"),
        ("GET", "/moto-api/"),
        ("GET", "/moto-api/reset"),
        ("POST", "/moto-api/config"),
        ("POST", "/moto-api/seed"),
        ("POST", "/moto-api/state-manager/set-transition"),
        ("POST", "/moto-api/reset-auth"),
    ],
)
def test_motos_own_addresses_are_closed(local_cloud: LocalCloud, method: str, path: str) -> None:
    """What they tell and change is not the cloud's. One sentence says what there is."""
    status, told = ask(local_cloud, method, path, {"Host": "127.0.0.1:PORT"}, b"{}")
    assert status == 403
    assert json.loads(told) == {"error": "Of moto's own addresses the local cloud only has POST /moto-api/reset."}


def test_motos_reset_is_the_clouds(local_cloud: LocalCloud) -> None:
    """Faults and the record of calls go too, as with the cloud's own reset."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    local_cloud.faults.add("throttle", operation="iam:*")
    assert ask(local_cloud, "POST", "/moto-api/reset", {"Host": "127.0.0.1:PORT"}) == (200, '{"status": "ok"}')
    assert (local_cloud.faults.list(), local_cloud.call_counts()) == ({}, {})
    assert local_cloud.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("authorization", "status", "said"),
    [
        (None, 403, "cannot tell which service"),
        ("AWS key:signature", 403, "cannot tell which service"),
        ("nonsense", 400, "Unsupported Authorization Type"),
    ],
)
def test_a_request_that_does_not_tell_its_service(
    local_cloud: LocalCloud, authorization: str | None, status: int, said: str
) -> None:
    """It is not answered with the buckets of S3."""
    headers = {"Host": "127.0.0.1:PORT", "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    if authorization is not None:
        headers["Authorization"] = authorization
    answered, told = ask(local_cloud, "POST", "/", headers, b"{}")
    assert (answered, said in json.loads(told)["message"]) == (status, True)
