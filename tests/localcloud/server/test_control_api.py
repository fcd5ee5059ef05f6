"""The cloud's own endpoints, as any HTTP client sees them."""

from __future__ import annotations

import http.client
import json
import logging
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from cloudtune import __version__
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.server.control_api import ControlApi
from tests.localcloud.conftest import BUCKET, Trainer


def ask(
    cloud: LocalCloud, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and decoded JSON of an answer."""
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint).netloc, timeout=60)
    connection.request(method, f"/cloudtune-localcloud/{path}", body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.getheader("Content-Type") == "application/json"
    return answer.status, json.loads(content)


def test_status(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """Who the cloud is, and how many jobs it has."""
    trainer.create("train-1")
    local_cloud.wait_for_job("train-1")
    status, answer = ask(local_cloud, "GET", "status")
    assert status == 200
    assert (answer["id"], answer["pid"], answer["version"]) == (local_cloud.id, local_cloud.pid, __version__)
    assert answer["endpoint"] == local_cloud.endpoint
    assert answer["jobs"] == {"Completed": 1}
    assert answer["uptime"] > 0


def test_calls_are_filtered(local_cloud: LocalCloud) -> None:
    """By operation, caller, job and time."""
    s3 = local_cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.list_buckets()
    (first, second) = ask(local_cloud, "GET", "calls")[1]
    assert (first["operation"], first["service"], first["who"]) == ("CreateBucket", "s3", "client")
    assert ask(local_cloud, "GET", "calls?operation=s3:List*")[1] == [second]
    assert ask(local_cloud, "GET", f"calls?since={second['at']!r}")[1] == [second]
    assert ask(local_cloud, "GET", "calls?who=job:*")[1] == []
    assert ask(local_cloud, "GET", "calls?job=train-1")[1] == []
    assert ask(local_cloud, "GET", "counts")[1] == {"s3:CreateBucket": 1, "s3:ListBuckets": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "nothing", None, 404, "has nothing at /cloudtune-localcloud/nothing"),
        ("GET", "", None, 404, "has nothing"),
        ("GET", "jobs/a/b/c", None, 404, "has nothing"),
        ("PUT", "status", None, 405, "does not answer to PUT"),
        ("GET", "jobs/train-1", None, 404, "no training job train-1"),
        ("POST", "jobs/train-1/stop", None, 404, "no training job train-1"),
        ("POST", "jobs/train-1/interrupt", None, 404, "no training job train-1"),
        ("DELETE", "faults/7", None, 404, "no fault 7"),
        ("DELETE", "faults/x", None, 404, "no fault x"),
        ("POST", "faults", "{", 400, "not JSON"),
        ("POST", "faults", "[]", 400, "must be a JSON object"),
        ("POST", "faults", "{}", 400, "kind"),
        ("POST", "faults", '{"kind": "trottle"}', 400, "did you mean 'throttle'"),
        ("POST", "faults", '{"kind": "throttle", "often": 1}', 400, "no field 'often'"),
        ("POST", "faults", '{"kind": "throttle", "count": "many"}', 400, "count"),
        ("POST", "rates", '{"s3:ListBuckets": "fast"}', 400, "rate"),
        ("POST", "rates", '{"s3:ListBuckets": 0}', 400, "positive"),
        ("POST", "quotas", '{"x": 1.5}', 400, "number of instances"),
        ("POST", "quotas", f'{{"x": {"9" * 400}}}', 400, "number of instances"),
        ("POST", "rates", f'{{"s3:ListBuckets": {"9" * 400}}}', 400, "calls per second"),
        ("POST", "rates", '{"s3:ListBuckets": NaN}', 400, "calls per second"),
        ("DELETE", f"faults/{'9' * 5_000}", None, 404, "no fault 9"),
        ("POST", "faults", "[" * 200_000, 400, "too deeply nested"),
        ("GET", "calls?since=yesterday", None, 400, "must be a number"),
        ("POST", "save", None, 400, "--state-folder"),
        ("GET", "credentials/guess", None, 404, "No running job"),
    ],
)
def test_errors_are_one_sentence(
    local_cloud: LocalCloud, method: str, path: str, body: str | None, status: int, said: str
) -> None:
    """Each wrong request is told what is wrong with it, in JSON."""
    answered, answer = ask(local_cloud, method, path, body)
    assert answered == status, answer
    assert said in answer["error"]
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 400


def test_an_endpoint_that_breaks_down(caplog: pytest.LogCaptureFixture) -> None:
    """The client reads JSON still, the log has the traceback."""
    answers: list[str] = []
    environ = {"PATH_INFO": "/cloudtune-localcloud/jobs", "REQUEST_METHOD": "GET", "HTTP_HOST": "localhost"}
    server: Any = SimpleNamespace()  # without a platform
    with caplog.at_level(logging.ERROR):
        (body,) = ControlApi(server)(environ, lambda status, headers: answers.append(status))
    assert answers == ["500 Internal Server Error"]
    assert "its log says where" in json.loads(body)["error"]
    assert "AttributeError" in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:5000"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_web_pages_are_turned_away(local_cloud: LocalCloud, headers: dict[str, str]) -> None:
    """Neither a name that was made to point here nor a page that posts across origins gets anything done."""
    status, answer = ask(local_cloud, "POST", "shutdown", headers=headers)
    assert (status, "answer to" in answer["error"] or "answers to" in answer["error"]) == (403, True)
    assert local_cloud.jobs() == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "[::1]"])
def test_names_of_this_machine(local_cloud: LocalCloud, host: str) -> None:
    """With and without a port."""
    assert ask(local_cloud, "GET", "status", headers={"Host": host})[0] == 200


def test_credentials_of_a_job(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """A job finds its credentials where botocore looks for them; they are no good once it has ended."""
    script = """
import json, os, urllib.request
import boto3
uri = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
with urllib.request.urlopen(uri) as answer:
    given = json.load(answer)
boto3.client("s3").put_object(Bucket="data", Key="uri", Body=uri)
print(*sorted(given), flush=True)
"""
    trainer.create("train-1", script)
    assert local_cloud.wait_for_job("train-1")["status"] == "Completed", trainer.lines("train-1")
    (line,) = trainer.lines("train-1")
    assert {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} <= set(line.split())
    path = urlsplit(trainer.body("uri").decode()).path.removeprefix("/cloudtune-localcloud/")
    assert ask(local_cloud, "GET", path)[0] == 404


def test_shutdown() -> None:
    """The answer comes, then the server ends with exit code 0."""
    with LocalCloud() as cloud:
        assert ask(cloud, "POST", "shutdown") == (200, {})
        assert cloud.wait(60) == 0
