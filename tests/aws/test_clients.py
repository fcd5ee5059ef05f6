"""Sessions, clients and calls, against the local cloud."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from cloudtune.aws import clients
from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.errors import (
    AccessDenied,
    AwsError,
    Cancelled,
    CredentialsExpired,
    InvalidRequest,
    NotFound,
    ServiceFailure,
    Throttled,
    Unreachable,
)
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import ACCOUNT, wait_until
from tests.aws.forked import in_child

LIST = "sagemaker:ListTrainingJobs"


def in_threads(count: int, do: Callable[[], Any]) -> list[Any]:
    """Results of a function that many threads run at once."""
    results: list[Any] = []
    start = threading.Barrier(count)

    def run() -> None:
        start.wait(60)
        results.append(do())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == count
    return results


def jobs(aws: Aws, **options: Any) -> list[Any]:
    """A call that is allowed twice a second."""
    answer = aws.call("sagemaker", "list_training_jobs", MaxResults=100, **options)
    found: list[Any] = answer["TrainingJobSummaries"]
    return found


def test_the_region_is_what_was_given_or_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Argument, AWS_REGION, AWS_DEFAULT_REGION, profile: the first that there is."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-north-1\n[profile work]\nregion = eu-south-1\n[profile bare]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert Aws().region == "eu-north-1"
    assert Aws(profile="work").region == "eu-south-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert Aws().region == "us-west-2"
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert Aws(profile="work").region == "us-west-1"
    assert Aws("sa-east-1").region == "sa-east-1"
    assert Aws("sa-east-1", "bare").client("s3").meta.region_name == "sa-east-1"


def test_without_a_region_one_sentence_says_what_to_do() -> None:
    """When it is needed; making the object costs nothing and asks for nothing."""
    aws = Aws()
    with pytest.raises(InvalidRequest) as caught:
        aws.client("s3")
    assert str(caught.value) == "No AWS region is set; pass a region, or set AWS_REGION (such as us-east-1)."


def test_a_profile_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not a traceback of botocore; nor for a file that is none."""
    with pytest.raises(InvalidRequest, match="nobody"):
        _ = Aws(profile="nobody").region
    with pytest.raises(InvalidRequest, match="nobody"):
        Aws("us-east-1", "nobody").call("s3", "list_buckets")
    (tmp_path / "config").write_text("[default\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(InvalidRequest, match="config"):
        Aws("us-east-1").client("s3")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("moon-1", "aws")],
)
def test_the_partition_follows_from_the_region(region: str, partition: str) -> None:
    """ARNs and image registries begin with it; a region that botocore does not know yet is one of AWS's own."""
    assert Aws(region).partition == partition


def test_who_calls_is_asked_once(aws: Aws, local_cloud: LocalCloud) -> None:
    """Also when many want to know it."""
    assert (aws.account, aws.account) == (ACCOUNT, ACCOUNT)
    assert local_cloud.call_counts()["sts:GetCallerIdentity"] == 1


def test_threads_share_one_client(aws: Aws) -> None:
    """Sessions are for one thread; clients are made one at a time, and only once."""
    made = in_threads(16, lambda: aws.client("sagemaker"))
    assert len({id(client) for client in made}) == 1
    assert aws.client("sagemaker", 1) is not made[0]


def test_a_copy_in_another_process_has_connections_of_its_own(aws: Aws) -> None:
    """What is pickled is where to call, not a socket."""
    assert jobs(aws) == []
    copy = pickle.loads(pickle.dumps(aws))
    assert copy.region == aws.region
    assert copy.client("s3") is not aws.client("s3")
    assert copy.call("s3", "list_buckets")["Buckets"] == []


def test_a_forked_child_does_not_use_its_parents_sockets(aws: Aws) -> None:
    """Two processes that spoke through one socket would read each other's answers.

    The child can call although, at the fork, another thread of the parent held the lock.
    """
    parents = aws.client("s3")
    aws.call("s3", "list_buckets")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with aws._lock:
            held.set()
            done.wait(60)

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(60)
    try:
        child = in_child(lambda: (aws.client("s3") is parents, aws.call("s3", "list_buckets")["Buckets"], os.getpid()))
    finally:
        done.set()
        holding.join()
    assert child[:2] == (False, [])
    assert child[2] != os.getpid()
    assert aws.client("s3") is parents
    assert aws.call("s3", "list_buckets")["Buckets"] == []


@pytest.mark.parametrize("fault", ["throttle", "internal_error", "request_lost", "answer_lost"])
def test_what_passes_is_repeated_by_us_alone(
    aws: Aws, local_cloud: LocalCloud, faults: CloudFaults, fault: str
) -> None:
    """Each refusal is one call that the budget knows of: botocore repeats nothing behind its back."""
    faults.add(fault, operation=LIST, count=2)
    assert jobs(aws) == []
    assert local_cloud.call_counts()[LIST] == 3


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("throttle", Throttled),
        ("internal_error", ServiceFailure),
        ("request_lost", Unreachable),
        ("access_denied", AccessDenied),
    ],
)
def test_without_patience_a_failure_is_told_at_once(
    aws: Aws, local_cloud: LocalCloud, faults: CloudFaults, fault: str, expected: type[AwsError]
) -> None:
    """For callers that come again anyway; what does not pass is told at once to all."""
    faults.add(fault, operation=LIST)
    with pytest.raises(expected) as caught:
        jobs(aws, patience=0)
    assert type(caught.value) is expected
    assert caught.value.operation == LIST
    assert local_cloud.call_counts()[LIST] == 1


@pytest.mark.parametrize(("fault", "expected"), [("internal_error", ServiceFailure), ("slow_down", Throttled)])
def test_without_patience_botocore_does_not_repeat_calls_of_s3_either(
    aws: Aws, local_cloud: LocalCloud, faults: CloudFaults, fault: str, expected: type[AwsError]
) -> None:
    """S3 that answers 500, or 503, throughout is asked once, where botocore by itself would ask ten times."""
    faults.add(fault, operation="s3:ListBuckets")
    with pytest.raises(expected):
        aws.call("s3", "list_buckets", patience=0)
    assert local_cloud.call_counts()["s3:ListBuckets"] == 1


def test_little_patience_is_not_botocores_to_spend(
    monkeypatch: pytest.MonkeyPatch, aws: Aws, local_cloud: LocalCloud, faults: CloudFaults
) -> None:
    """Ten tries may take longer than a caller of few seconds has: each is ours, with a look at the time before it."""
    monkeypatch.setattr(clients, "wait_for", lambda seconds, cancel: None)
    faults.add("internal_error", operation="s3:ListBuckets", count=3)
    repeated: list[object] = []
    aws.client("s3").meta.events.register("before-send.s3", lambda **_: repeated.append("by botocore"))
    assert aws.call("s3", "list_buckets", patience=50)["Buckets"] == []
    assert (local_cloud.call_counts()["s3:ListBuckets"], repeated) == (4, [])


def test_a_right_that_is_missing_is_not_asked_for_again(aws: Aws, local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """However patient the caller is."""
    faults.add("access_denied", operation=LIST)
    with pytest.raises(AccessDenied, match="IAM policy"):
        jobs(aws)
    assert local_cloud.call_counts()[LIST] == 1


def test_an_answer_that_takes_long_is_waited_for(aws: Aws, local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """Slow is no failure: the call is not made twice."""
    faults.add("slow_answer", operation=LIST, seconds=1, count=1)
    assert jobs(aws) == []
    assert local_cloud.call_counts()[LIST] == 1


def test_refusals_slow_down_the_next_calls(aws: Aws, faults: CloudFaults) -> None:
    """The budget hears of each refusal and admission."""

    class Recorder(RateBudget):
        heard: list[str]

        def throttled(self, operation: str) -> None:
            self.heard.append(f"throttled {operation}")
            super().throttled(operation)

        def succeeded(self, operation: str) -> None:
            self.heard.append(f"succeeded {operation}")
            super().succeeded(operation)

    budget = Recorder({})
    budget.heard = []
    faults.add("throttle", operation=LIST, count=2)
    faults.add("request_lost", operation=LIST, skip=2, count=1)
    jobs(Aws(budget=budget))
    assert budget.heard == [f"throttled {LIST}", f"throttled {LIST}", f"succeeded {LIST}"]


def test_processes_that_share_a_limit_all_get_through(local_cloud: LocalCloud) -> None:
    """Each paces itself by the limit alone, knowing nothing of the others: nobody's call fails."""
    # So low that eight threads come too early on the slowest machine.
    local_cloud.set_rates({LIST: 2.0})
    assert in_threads(8, lambda: [jobs(one) for one in [Aws(budget=RateBudget({LIST: 2.0}))] * 2]) == [[[]] * 2] * 8
    assert local_cloud.call_counts()[LIST] > 8 * 2, "some were refused"


def test_a_cancelled_call_is_given_up(aws: Aws, faults: CloudFaults, local_cloud: LocalCloud) -> None:
    """A tuner that is told to end does not sit out ten minutes of throttling."""
    faults.add("throttle", operation=LIST)
    cancel = threading.Event()
    outcomes: list[BaseException] = []

    def call() -> None:
        try:
            jobs(aws, cancel=cancel)
        except Cancelled as error:
            outcomes.append(error)

    calling = threading.Thread(target=call)
    calling.start()
    wait_until(lambda: local_cloud.call_counts().get(LIST, 0) >= 2)
    cancel.set()
    calling.join(60)
    assert len(outcomes) == 1


def test_the_pause_after_a_failure_can_be_cut_short(
    aws: Aws, faults: CloudFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the caller's event, not for its seconds alone."""
    faults.add("request_lost", operation=LIST)
    cancel = threading.Event()
    waited: list[tuple[bool, threading.Event | None]] = []

    def wait(seconds: float, event: threading.Event | None) -> None:
        waited.append((seconds > 0, event))
        cancel.set()

    monkeypatch.setattr(clients, "wait_for", wait)
    with pytest.raises(Cancelled):
        jobs(aws, cancel=cancel)
    assert waited == [(True, cancel)]


def test_an_address_where_nobody_answers(monkeypatch: pytest.MonkeyPatch, aws: Aws) -> None:
    """The message names the call and what may be wrong."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"sagemaker:ListTrainingJobs got no answer .*network"):
            jobs(aws, patience=0)


@pytest.mark.parametrize(
    ("service", "operation", "params", "named"),
    [
        ("s3", "get_object", {"Bucket": "none", "Key": "a/b"}, "s3:GetObject of s3://none/a/b found"),
        ("s3", "list_objects_v2", {"Bucket": "none", "Prefix": "a/"}, "s3:ListObjectsV2 of s3://none/a/ found"),
        ("iam", "get_role", {"RoleName": "nobody"}, "iam:GetRole of nobody found"),
        ("logs", "get_log_events", {"logGroupName": "g", "logStreamName": "s"}, "logs:GetLogEvents of g found"),
    ],
)
def test_messages_name_what_a_call_is_about(
    aws: Aws, service: str, operation: str, params: dict[str, Any], named: str
) -> None:
    """An object, or the first of the call's parameters that is a name."""
    with pytest.raises(NotFound) as caught:
        aws.call(service, operation, **params)
    assert str(caught.value).startswith(named)


def test_a_name_goes_before_a_role(aws: Aws) -> None:
    """A request for a job begins with its role; what was refused is the job."""
    request: dict[str, Any] = {
        "RoleArn": "arn:aws:iam::123456789012:role/trainer",
        "TrainingJobName": "mine",
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/"},
        "ResourceConfig": {"InstanceType": "ml.none.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    with pytest.raises(InvalidRequest, match=r"^sagemaker:CreateTrainingJob of mine was refused"):
        aws.call("sagemaker", "create_training_job", **request)


def test_parameters_that_botocore_refuses_never_reach_aws(aws: Aws, local_cloud: LocalCloud) -> None:
    """They never reach AWS."""
    with pytest.raises(InvalidRequest, match="TrainingJobName"):
        aws.call("sagemaker", "describe_training_job", Wrong=1)
    assert "sagemaker:DescribeTrainingJob" not in local_cloud.call_counts()


def test_credentials_that_expired_are_read_anew_once(
    aws: Aws, local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody has logged in meanwhile: the call goes through, with a new session."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def do() -> Any:
        try:
            return aws.client("s3").list_buckets()["Buckets"]
        except NoCredentialsError:
            file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
            raise

    assert aws.attempt("s3:ListBuckets", "A call", do) == []
    assert local_cloud.call_counts()["s3:ListBuckets"] == 1


def test_without_credentials_the_remedy_is_told(
    aws: Aws, local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log in again, and run the same command to continue."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(CredentialsExpired, match=r"log in again .* run the same command to continue"):
        jobs(aws)
    assert LIST not in local_cloud.call_counts()


def expired() -> ClientError:
    """As AWS answers to a session's token that is too old."""
    return ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "ListBuckets")


def test_many_threads_that_find_the_credentials_expired_make_one_new_session(aws: Aws) -> None:
    """Not one each: signing in may cost a call, or a prompt."""
    old = aws.client("s3")
    all_have_it = threading.Barrier(8)

    def call() -> Any:
        def do() -> Any:
            client = aws.client("s3")
            if client is old:
                all_have_it.wait(60)
                raise expired()
            return client

        return aws.attempt("s3:ListBuckets", "A call", do)

    assert len({id(client) for client in in_threads(8, call)}) == 1
    assert aws.client("s3") is not old


def test_credentials_that_stay_expired_end_the_call(aws: Aws) -> None:
    """After one new session; whatever the patience."""
    tried = []

    def do() -> None:
        tried.append(aws.client("s3"))
        raise expired()

    with pytest.raises(CredentialsExpired):
        aws.attempt("s3:ListBuckets", "A call", do, patience=600)
    assert len(tried) == 2
    assert tried[0] is not tried[1]


def test_a_refreshed_session_is_another_one(aws: Aws) -> None:
    """On request too."""
    before = aws.client("s3")
    aws.refresh()
    assert aws.client("s3") is not before


def test_a_process_has_one_aws_per_region_and_profile(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are dear to make; but where the environment says something else now, old ones would mislead."""
    assert aws_for() is aws_for()
    assert aws_for("eu-west-1") is not aws_for()
    assert len({id(one) for one in in_threads(8, lambda: aws_for("eu-west-2"))}) == 1
    before = aws_for()
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert aws_for() is not before
    assert aws_for().region == "eu-west-3"
    assert aws_for().budget is before.budget


def test_errors_of_other_code_pass_through(aws: Aws) -> None:
    """A bug of ours is not dressed up as a failure of AWS, nor repeated."""
    with pytest.raises(ZeroDivisionError):
        aws.attempt("s3:GetObject", "A call", lambda: 1 // 0)
    with pytest.raises(FileNotFoundError):
        aws.attempt("s3:GetObject", "A call", lambda: Path("/no/such/file").read_bytes())


def test_errors_of_ours_are_judged_like_those_of_aws(aws: Aws) -> None:
    """What is done may itself find out what an answer means."""
    left = [ServiceFailure("again"), NotFound("gone")]

    def do() -> None:
        raise left.pop(0)

    with pytest.raises(NotFound, match="gone"):
        aws.attempt("s3:GetObject", "A call", do)
    assert left == []
