"""The way of a call through the gate."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import BotocoreStubber

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.gate import dropped
from cloudtune.localcloud.services import sagemaker
from tests.localcloud.gate.stand_in import StandIn, client, open_gate, session_of, training_job

SERVICES = {
    "sagemaker": lambda: client("sagemaker").list_training_jobs(),
    "logs": lambda: client("logs").describe_log_groups(),
    "sts": lambda: client("sts").get_caller_identity(),
    "iam": lambda: client("iam").list_roles(),
    "ecr": lambda: client("ecr").describe_repositories(),
    "cloudwatch": lambda: client("cloudwatch").list_metrics(),
    "servicequotas": lambda: client("service-quotas").list_service_quotas(ServiceCode="sagemaker"),
    "pricing": lambda: client("pricing").describe_services(ServiceCode="AmazonSageMaker"),
    "s3": lambda: client("s3").list_buckets(),
}
OPERATIONS = {
    "sagemaker": "ListTrainingJobs",
    "logs": "DescribeLogGroups",
    "sts": "GetCallerIdentity",
    "iam": "ListRoles",
    "ecr": "DescribeRepositories",
    "cloudwatch": "ListMetrics",
    "servicequotas": "ListServiceQuotas",
    "pricing": "DescribeServices",
    "s3": "ListBuckets",
}


def code_of(service: str) -> tuple[str, int]:
    with pytest.raises(ClientError) as raised:
        SERVICES[service]()
    response: Any = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def post(service: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """A request as no SDK would send it."""
    url = f"https://{service}.us-east-1.amazonaws.com/"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method="POST", url=url, data=body, headers=names).prepare()
    status, _, content = BotocoreStubber().process_request(request) or (0, {}, b"")
    return status, content.encode() if isinstance(content, str) else content


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_recorded(cloud: StandIn, service: str) -> None:
    """Name, caller and status of each call, under the names that faults and rates use."""
    try:
        SERVICES[service]()
        error = ""
    except ClientError as refused:
        error = refused.response["Error"]["Code"]
    (call,) = cloud.calls.calls()
    assert (call.service, call.operation, call.who) == (service, OPERATIONS[service], "client")
    assert call.error == error
    assert call.status < 500
    assert call.at == pytest.approx(cloud.clock.time(), abs=60)
    assert call.seconds > 0
    assert call.fault == ""


@pytest.mark.parametrize(
    ("kind", "json_code", "query_code", "s3_code"),
    [
        ("throttle", ("ThrottlingException", 400), ("Throttling", 400), ("SlowDown", 503)),
        ("internal_error", ("InternalServerError", 500), ("InternalFailure", 500), ("InternalError", 500)),
        ("access_denied", ("AccessDeniedException", 400), ("AccessDenied", 403), ("AccessDenied", 403)),
        ("expired_token", ("ExpiredTokenException", 400), ("ExpiredToken", 403), ("ExpiredToken", 400)),
    ],
)
@pytest.mark.parametrize("service", SERVICES)
def test_a_refusal_has_the_form_of_the_protocol(
    cloud: StandIn,
    service: str,
    kind: str,
    json_code: tuple[str, int],
    query_code: tuple[str, int],
    s3_code: tuple[str, int],
) -> None:
    """boto3 reads code and status as from AWS, so that its rules for trying again hold."""
    number = cloud.faults.add(Fault(kind, operation=f"{service}:*"))
    expected = {"s3": s3_code, "sts": query_code, "iam": query_code}.get(service, json_code)
    assert code_of(service) == expected
    (call,) = cloud.calls.calls()
    assert (call.error, call.status, call.fault) == (*expected, kind)
    assert [fired.fault_id for fired in cloud.faults.fired()] == [number]


def test_a_limit_is_told_as_aws_tells_it(cloud: StandIn) -> None:
    """ResourceLimitExceeded names the quota that the request would go beyond."""
    cloud.faults.add(Fault("resource_limit"))
    with pytest.raises(ClientError, match=r"'ml.g4dn.xlarge for spot training job usage' is 0") as raised:
        client("sagemaker").create_training_job(
            TrainingJobName="train-1",
            RoleArn="arn:aws:iam::123456789012:role/tuning",
            AlgorithmSpecification={"TrainingInputMode": "File", "TrainingImage": "image"},
            OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
            ResourceConfig={"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            EnableManagedSpotTraining=True,
        )
    assert raised.value.response["Error"]["Code"] == "ResourceLimitExceeded"
    assert [(call.job, call.error) for call in cloud.calls.calls()] == [("train-1", "ResourceLimitExceeded")]


def test_the_rates_of_aws_throttle_and_are_retried() -> None:
    """Beyond the rate comes ThrottlingException, which boto3 tries again by itself."""
    with open_gate(rates={"sagemaker:ListTrainingJobs": 0.001, "s3:ListBuckets": 0.001}) as cloud:
        client("sagemaker").list_training_jobs()
        assert code_of("sagemaker") == ("ThrottlingException", 400)
        client("s3").list_buckets()
        assert code_of("s3") == ("SlowDown", 503)
        cloud.throttle.set_rates({})
        client("sagemaker").list_training_jobs()
        assert [call.error for call in cloud.calls.calls("sagemaker:*")] == ["", "ThrottlingException", ""]


def test_a_lost_answer_is_one_whose_work_was_done(cloud: StandIn) -> None:
    """The client sees a broken connection and tries again; the first time the object was stored all the same."""
    s3 = client("s3", attempts=2)
    s3.create_bucket(Bucket="models")
    cloud.faults.add(Fault("answer_lost", operation="s3:PutObject", count=1))
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="models", Key="a", Body=b"1", IfNoneMatch="*")
    assert cloud.storage.read("models", "a") == b"1"
    put = cloud.calls.calls("s3:PutObject")
    assert [(call.status, call.error, call.fault) for call in put] == [
        (0, "ConnectionDropped", "answer_lost"),
        (412, "PreconditionFailed", ""),
    ]


def test_a_lost_request_is_one_that_nobody_saw(cloud: StandIn) -> None:
    """Here the second attempt is the first that counts."""
    s3 = client("s3", attempts=2)
    s3.create_bucket(Bucket="models")
    cloud.faults.add(Fault("request_lost", operation="s3:PutObject", count=1))
    s3.put_object(Bucket="models", Key="a", Body=b"1", IfNoneMatch="*")
    put = cloud.calls.calls("s3:PutObject")
    assert [(call.status, call.fault) for call in put] == [(0, "request_lost"), (200, "")]


def test_a_lost_write_looks_like_success(cloud: StandIn) -> None:
    """S3 says it is stored, with the right ETag, and it is not; a deletion likewise. Conditions are still judged."""
    s3 = client("s3")
    s3.create_bucket(Bucket="models")
    stored = s3.put_object(Bucket="models", Key="a", Body=b"1")
    number = cloud.faults.add(Fault("write_lost", operation="s3:*"))
    assert s3.put_object(Bucket="models", Key="b", Body=b"1")["ETag"] == stored["ETag"]
    assert s3.delete_object(Bucket="models", Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="models", Key="a", Body=b"2", IfNoneMatch="*")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="nowhere", Key="a", Body=b"2")
    cloud.faults.remove(number)
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="models")["Contents"]] == ["a"]


def test_a_slow_answer_takes_cloud_seconds() -> None:
    """The delay scales with the cloud's time, comes after the work, and is part of the record."""
    with open_gate(time_scale=1000.0) as cloud:
        cloud.faults.add(Fault("slow_answer", operation="s3:ListBuckets", seconds=50))
        client("s3").list_buckets()
        assert cloud.calls.calls()[0].seconds >= 0.05


def test_search_is_told_how_old_its_answer_is_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault reaches the operation as a moment in cloud time; a client cannot set it by itself."""
    asked: list[Any] = []

    def search(platform: object, caller: object, params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params.get("__until__"))
        return {"Results": []}

    monkeypatch.setattr(sagemaker, "OPERATIONS", {**sagemaker.OPERATIONS, "Search": search})
    with open_gate() as opened:
        client("sagemaker").search(Resource="TrainingJob")
        opened.faults.add(Fault("stale_search", seconds=30))
        client("sagemaker").search(Resource="TrainingJob")
        body = json.dumps({"Resource": "TrainingJob", "__until__": 3}).encode()
        opened.faults.clear()
        post("api.sagemaker", body, X_Amz_Target="SageMaker.Search")
        assert asked[0] is None
        assert asked[1] == pytest.approx(opened.clock.time() - 30, abs=20)
        assert asked[2] is None


def test_faults_know_who_calls_and_about_what(cloud: StandIn) -> None:
    """A fault for a stream of logs, an object, or a job strikes nothing else."""
    s3 = client("s3")
    s3.create_bucket(Bucket="models")
    cloud.faults.add(Fault("access_denied", resource="models/secret/*"))
    s3.put_object(Bucket="models", Key="open/a", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="models", Key="secret/a", Body=b"")
    cloud.faults.add(Fault("throttle", resource="/aws/sagemaker/TrainingJobs/train-1/*"))
    logs = client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="train-2/algo-1")
    with pytest.raises(ClientError, match="ThrottlingException"):
        logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="train-1/algo-1")
    assert cloud.calls.calls("logs:*")[-1].resource == "/aws/sagemaker/TrainingJobs/train-1/algo-1"
    cloud.faults.add(Fault("internal_error", job="train-7"))
    with pytest.raises(ClientError, match="InternalServerError"):
        client("sagemaker").describe_training_job(TrainingJobName="train-7")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/train-7"
    with pytest.raises(ClientError, match="InternalServerError"):
        client("sagemaker").list_tags(ResourceArn=arn)


def test_a_server_kills_itself_and_a_library_does_not(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL goes to the own process of a server only; elsewhere the fault is an error that says so."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda *arguments: killed.append(arguments))
    cloud.faults.add(Fault("kill_server", operation="sts:*", count=2))
    with pytest.raises(dropped.NoServerToKill, match="LocalCloud"):
        client("sts").get_caller_identity()
    assert not killed
    cloud.endpoint = "http://127.0.0.1:1"
    client("sts").get_caller_identity()
    assert len(killed) == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b"null"],
    ids=["open", "list", "text", "bytes", "deep", "null"],
)
@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("api.sagemaker", "SageMaker.CreateTrainingJob"),
        ("logs", "Logs_20140328.PutLogEvents"),
        ("api.sagemaker", "SageMaker.CreateModel"),
    ],
)
def test_a_body_that_is_no_json_object_is_a_serialization_error(
    cloud: StandIn, host: str, target: str, body: bytes
) -> None:
    """Whatever comes over the wire: AWS's error, never a 500."""
    status, content = post(host, body, X_Amz_Target=target, Content_Type="application/x-amz-json-1.1")
    assert status == 400
    assert json.loads(content)["__type"] == "SerializationException"
    assert cloud.calls.calls()[-1].error == "SerializationException"


@pytest.mark.parametrize(
    ("host", "target", "body", "code"),
    [
        ("api.sagemaker", "SageMaker.CreateModel", {}, "ValidationException"),
        ("api.sagemaker", "SageMaker.CreateModel", {"ModelName": 3}, "ValidationException"),
        ("api.sagemaker", "SageMaker.NoSuchOperation", {}, "UnknownOperationException"),
        ("api.sagemaker", "", {}, "UnknownOperationException"),
        ("api.sagemaker", "SageMaker.CreateHumanTaskUi", None, "UnknownOperationException"),
        ("logs", "Logs_20140328.CreateLogGroup", {}, "ValidationException"),
        (
            "api.ecr",
            "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
            {"repositoryName": []},
            "ValidationException",
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    cloud: StandIn, host: str, target: str, body: dict[str, Any] | None, code: str
) -> None:
    """Missing and wrong parameters, and operations that do not exist or that moto lacks; boto3 does not try again."""
    if body is None:
        body = {"HumanTaskUiName": "x", "UiTemplate": {"Content": "x"}}
    status, content = post(host, json.dumps(body).encode(), X_Amz_Target=target)
    assert status == 400
    assert json.loads(content)["__type"] == code


@pytest.mark.parametrize(
    ("service", "body", "code"),
    [
        ("sts", b"Action=AssumeRole&Version=2011-06-15", b"ValidationError"),
        ("sts", b"Action=NoSuchThing&Version=2011-06-15", b"InvalidAction"),
        ("sts", b"", b"InvalidAction"),
        ("iam", b"Action=CreateRole&RoleName=x&Version=2010-05-08", b"ValidationError"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(cloud: StandIn, service: str, body: bytes, code: bytes) -> None:
    """The same for services that speak the query protocol."""
    status, content = post(service, body, Content_Type="application/x-www-form-urlencoded; charset=utf-8")
    assert status == 400
    assert b"<Code>" + code + b"</Code>" in content


def test_a_defect_of_ours_is_a_500_with_a_traceback_in_the_log(
    cloud: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Never a page of HTML: boto3 tries again and tells the code."""
    from moto.iam.models import IAMBackend

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(IAMBackend, "get_role", broken)
    with caplog.at_level(logging.ERROR, "cloudtune.localcloud.gate"), pytest.raises(ClientError) as raised:
        client("iam").get_role(RoleName="x")
    assert raised.value.response["Error"]["Code"] == "InternalFailure"
    assert caplog.records[0].exc_info is not None
    assert "iam:GetRole" in caplog.text
    assert cloud.calls.calls()[0].status == 500


def test_limits_are_kept_apart_by_the_region_of_the_signature(cloud: StandIn) -> None:
    """A call to another region has a bucket of its own."""
    cloud.throttle.set_rates({"logs:DescribeLogGroups": 0.001})
    client("logs").describe_log_groups()
    boto3.client("logs", region_name="eu-west-1").describe_log_groups()
    assert code_of("logs") == ("ThrottlingException", 400)


def test_a_presigned_url_acts_for_whoever_signed_it(cloud: StandIn) -> None:
    """The access key of a presigned request stands in the query."""
    keys = cloud.identities.credentials(cloud.identities.issue(training_job(cloud)))
    assert keys is not None
    inside = client("s3", **session_of(keys))
    inside.create_bucket(Bucket="models")
    inside.put_object(Bucket="models", Key="a", Body=b"1")
    for version in ("s3v4", "s3"):
        signer = boto3.client("s3", "us-east-1", config=Config(signature_version=version), **session_of(keys))
        url = signer.generate_presigned_url("get_object", Params={"Bucket": "models", "Key": "a"})
        status, _, content = BotocoreStubber().process_request(AWSRequest("GET", url).prepare()) or (0, {}, b"")
        assert (status, content) == (200, b"1")
        assert cloud.calls.calls()[-1].who == "job:train-1"


def test_what_a_permission_depends_on_is_recorded(cloud: StandIn) -> None:
    """The prefix of a list, the source of a copy, what deleted keys have in common, roles and repositories."""
    s3, iam, role = client("s3"), client("iam"), "arn:aws:iam::123456789012:role/r"
    s3.create_bucket(Bucket="data")
    for key in ("a b/1", "a b/2&"):
        s3.put_object(Bucket="data", Key=key)
    s3.copy_object(Bucket="data", Key="copy", CopySource={"Bucket": "data", "Key": "a b/2&"})
    s3.list_objects_v2(Bucket="data", Prefix="a b/")
    s3.list_objects_v2(Bucket="data")
    s3.delete_objects(Bucket="data", Delete={"Objects": [{"Key": "a b/1"}, {"Key": "a b/2&"}]})
    s3.delete_objects(Bucket="data", Delete={"Objects": [{"Key": "x&y"}]})
    refused: list[Callable[[], Any]] = [
        lambda: iam.get_role(RoleName="r"),
        lambda: client("ecr").describe_images(repositoryName="images"),
        lambda: client("sagemaker").create_training_job(
            TrainingJobName="j", RoleArn=role, OutputDataConfig={"S3OutputPath": "s3://data"}, StoppingCondition={}
        ),
    ]
    for ask in refused:
        with pytest.raises(ClientError):
            ask()
    about = [(call.operation, call.about) for call in cloud.calls.calls()]
    assert about == [
        ("CreateBucket", ""),
        ("PutObject", ""),
        ("PutObject", ""),
        ("CopyObject", "data/a b/2&"),
        ("ListObjectsV2", "a b/"),
        ("ListObjectsV2", ""),
        ("DeleteObjects", "data/a b/"),
        ("DeleteObjects", "data/x&y"),
        ("GetRole", "r"),
        ("DescribeImages", "images"),
        ("CreateTrainingJob", role),
    ]
