"""A whole training job, seen by a client that knows nothing but boto3."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from typing import Any

import boto3
import pytest
import urllib3.util.connection
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.localcloud.conftest import BUCKET, ROLE, Trainer

#: Tells about its surroundings and puts an object.
SCRIPT = """
import json, os, sys
import boto3

print("begun", flush=True)
with open("/opt/ml/input/config/hyperparameters.json") as file:
    hyperparameters = json.load(file)
boto3.client("s3").put_object(Bucket="data", Key="from-job", Body=json.dumps({
    "name": os.environ["TRAINING_JOB_NAME"],
    "lr": hyperparameters["lr"],
    "who": boto3.client("sts").get_caller_identity()["Arn"],
}))
with open("/opt/ml/model/weights", "w") as file:
    file.write("1 2 3")
print("done", file=sys.stderr, flush=True)
"""

WAITS = """
import signal, sys, time

def end(number, frame):
    print("told to stop", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("waiting", flush=True)
while True:
    time.sleep(0.02)
"""


def test_a_job_from_its_creation_to_its_end(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """The script runs with its input, reaches S3 under the job's role, logs, and leaves a model; all on record."""
    trainer.create("train-1", SCRIPT, HyperParameters={"lr": "0.1"}, Tags=[{"Key": "study", "Value": "a"}])
    assert local_cloud.wait_for_job("train-1")["status"] == "Completed"

    job = trainer.describe("train-1")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    steps = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert [step for step in steps if step != "Pending"] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/output/train-1/output/model.tar.gz"
    assert trainer.body("output/train-1/output/model.tar.gz")
    told = json.loads(trainer.body("from-job"))
    assert (told["name"], told["lr"]) == ("train-1", "0.1")
    assert told["who"].startswith(ROLE.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/"))
    assert trainer.lines("train-1") == ["begun", "done"]
    by_job = local_cloud.calls(who="job:train-1", operation="s3:*")
    assert [(call.operation, call.resource, call.status) for call in by_job] == [("PutObject", "data/from-job", 200)]
    assert local_cloud.call_counts()["sagemaker:CreateTrainingJob"] == 1


def test_a_job_is_stopped(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """StopTrainingJob reaches the script as SIGTERM, and the job ends as Stopped."""
    trainer.create("train-1", WAITS)
    trainer.wait_for_line("train-1", "waiting")
    trainer.sagemaker.stop_training_job(TrainingJobName="train-1")
    assert local_cloud.wait_for_job("train-1")["status"] == "Stopped"
    assert trainer.lines("train-1") == ["waiting", "told to stop"]


def test_the_waiters_of_boto3(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """A failed job says why, and boto3's own waiter sees its end."""
    trainer.create("train-1", "raise SystemExit(3)")
    waiter = trainer.sagemaker.get_waiter("training_job_completed_or_stopped")
    local_cloud.wait_for_job("train-1")
    with pytest.raises(Exception, match="Failed"):
        waiter.wait(TrainingJobName="train-1", WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    assert "exit code: 3" in trainer.describe("train-1")["FailureReason"].lower()


def test_a_spot_job_is_interrupted_from_outside(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """The instance is taken away when we say so; the job goes on as another run and is billed for less than it took."""
    script = """
import os, signal, sys, time
def end(number, frame):
    print("interrupted", flush=True)
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
if os.path.exists("/opt/ml/checkpoints/done"):
    print("goes on", flush=True)
    sys.exit(0)
with open("/opt/ml/checkpoints/done", "w") as file:
    file.write("x")
print("waiting", flush=True)
while True:
    time.sleep(0.02)
"""
    trainer.create(
        "train-1",
        script,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints"},
    )
    trainer.wait_for_line("train-1", "waiting")
    local_cloud.interrupt_job("train-1")
    assert local_cloud.wait_for_job("train-1")["status"] == "Completed"
    lines = trainer.lines("train-1")
    assert (lines[0], lines[-1]) == ("waiting", "goes on")
    assert local_cloud.jobs()[0]["run"] == 1


def test_uploads_of_all_kinds(local_cloud: LocalCloud) -> None:
    """Empty, small, streamed and large objects, in one piece and in parts, come back as they were."""
    s3 = local_cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    large = bytes(range(256)) * 65_536  # 16 MiB
    for key, body in (("empty", b""), ("small", b"x"), ("large", large), ("odd/ü +%/key", b"odd")):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"my_key": "1", "other-key": "2"})
        answer = s3.get_object(Bucket=BUCKET, Key=key)
        assert answer["Body"].read() == body
        assert answer["Metadata"] == {"my_key": "1", "other-key": "2"}
        assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == len(body)
    s3.upload_fileobj(_Stream(large), BUCKET, "parts", Config=TransferConfig(multipart_threshold=5 * 1024**2))
    assert s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == large
    assert s3.get_object(Bucket=BUCKET, Key="large", Range="bytes=10-19")["Body"].read() == large[10:20]
    s3.delete_object(Bucket=BUCKET, Key="small")
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key="small")


class _Stream:
    """Something to read from that cannot be measured nor rewound."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else self._at + size
        part = bytes(self._content[self._at : end])
        self._at += len(part)
        return part


def test_clients_keep_their_connections(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many calls of one client go over one connection."""
    opened: list[Any] = []
    connect = urllib3.util.connection.create_connection

    def count(*args: Any, **named: Any) -> socket.socket:
        opened.append(args)
        return connect(*args, **named)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", count)
    s3 = local_cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for number in range(10):
        s3.put_object(Bucket=BUCKET, Key="key", Body=b"x" * number)
        s3.get_object(Bucket=BUCKET, Key="key")["Body"].read()
        s3.list_objects_v2(Bucket=BUCKET)
        s3.delete_object(Bucket=BUCKET, Key="key")
    assert len(opened) == 1


def test_a_lost_answer_is_tried_again(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """The connection breaks after the service has done its work; boto3 repeats the call, and both are on record."""
    s3 = local_cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    number = faults.add("answer_lost", operation="s3:PutObject", count=1)
    s3.put_object(Bucket=BUCKET, Key="key", Body=b"x")
    calls = local_cloud.calls(operation="s3:PutObject")
    assert [(call.status, call.fault) for call in calls] == [(0, "answer_lost"), (200, "")]
    assert [(fired.fault_id, fired.kind) for fired in faults.fired()] == [(number, "answer_lost")]


def test_a_lost_answer_without_retries(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """Who does not retry sees the broken connection, and the object is there all the same."""
    s3 = local_cloud.client("s3", config=Config(retries={"max_attempts": 1, "mode": "standard"}))
    s3.create_bucket(Bucket=BUCKET)
    faults.add("answer_lost", operation="s3:PutObject")
    faults.add("request_lost", operation="s3:DeleteObject")
    with pytest.raises(Exception, match="closed"):
        s3.put_object(Bucket=BUCKET, Key="key", Body=b"x")
    with pytest.raises(Exception, match="closed"):
        s3.delete_object(Bucket=BUCKET, Key="key")
    assert s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"x"


def test_the_default_session_is_led_here(local_cloud: LocalCloud) -> None:
    """Code that makes its clients without any arguments uses the cloud."""
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    assert [bucket["Name"] for bucket in local_cloud.client("s3").list_buckets()["Buckets"]] == [BUCKET]


def test_many_threads_at_once(local_cloud: LocalCloud) -> None:
    """One client used by many threads: every call is answered, and to whom it belongs."""
    s3 = local_cloud.client("s3", config=Config(max_pool_connections=16))
    s3.create_bucket(Bucket=BUCKET)
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(20):
            body = f"{number}/{turn}".encode()
            s3.put_object(Bucket=BUCKET, Key=str(number), Body=body)
            if s3.get_object(Bucket=BUCKET, Key=str(number))["Body"].read() != body:
                wrong.append(str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert local_cloud.call_counts()["s3:PutObject"] == 320


def test_motos_own_reset_leaves_a_cloud_that_works(local_cloud: LocalCloud) -> None:
    """The role that a new cloud has is there again."""
    iam = local_cloud.client("iam")
    before = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    urllib.request.urlopen(urllib.request.Request(f"{local_cloud.endpoint}/moto-api/reset", method="POST")).read()
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == before != []
