"""A cloud that is taken down, or dies, and comes up again with what it had."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.localcloud.control_client import ControlRefused
from cloudtune.localcloud.server_process import CloudStartFailed
from tests.localcloud.conftest import BUCKET, LOG_GROUP, Trainer, wait_until

WAITS_ONCE = """
import os, sys, time
if os.path.exists("/opt/ml/checkpoints/epoch"):
    with open("/opt/ml/checkpoints/epoch") as file:
        print("goes on from", file.read(), flush=True)
    sys.exit(0)
with open("/opt/ml/checkpoints/epoch", "w") as file:
    file.write("7")
print("waiting", flush=True)
time.sleep(600)
"""
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints"},
}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def without_moving_parts(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_s3_comes_back_as_it_was(folder: str) -> None:
    """Contents, metadata, tags, entity tags, times, versions, delete markers, and objects in parts."""
    with LocalCloud(state_folder=folder) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.create_bucket(Bucket="versioned")
        s3.create_bucket(Bucket="empty")
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        s3.put_object(
            Bucket=BUCKET, Key="ü/ +", Body=b"\0\xff", Metadata={"my": "1"}, ContentType="text/x", Tagging="t=1"
        )
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        part = s3.upload_part(Bucket=BUCKET, Key="parts", PartNumber=1, UploadId=upload, Body=b"x" * 6_000_000)
        s3.complete_multipart_upload(
            Bucket=BUCKET,
            Key="parts",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        for body in (b"1", b"2"):
            s3.put_object(Bucket="versioned", Key="key", Body=body)
        s3.put_object(Bucket="versioned", Key="gone", Body=b"3")
        s3.delete_object(Bucket="versioned", Key="gone")
        before = _s3(s3)
    with LocalCloud(state_folder=folder) as cloud:
        s3 = cloud.client("s3")
        assert _s3(s3) == before
        # It is S3, not a picture of it.
        s3.put_object(Bucket="versioned", Key="key", Body=b"4")
        assert s3.get_object(Bucket="versioned", Key="key")["Body"].read() == b"4"
        assert len(s3.list_object_versions(Bucket="versioned", Prefix="key")["Versions"]) == 3
        with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
            s3.put_object(Bucket=BUCKET, Key="parts", Body=b"", IfNoneMatch="*")
        s3.delete_object(Bucket=BUCKET, Key="parts")
        s3.delete_bucket(Bucket="empty")


def _s3(s3: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        found[name] = bucket["CreationDate"]
        versions = s3.list_object_versions(Bucket=name)
        for version in versions.get("Versions", []):
            key, number = version["Key"], version["VersionId"]
            answer = s3.get_object(Bucket=name, Key=key, VersionId=number)
            body = answer.pop("Body").read()
            tags = s3.get_object_tagging(Bucket=name, Key=key, VersionId=number)["TagSet"]
            found[f"{name}/{key}/{number}"] = (version, without_moving_parts(answer), body, tags)
        found[f"{name} markers"] = versions.get("DeleteMarkers")
    found["tags"] = s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    return found


def test_jobs_logs_and_roles_come_back(folder: str) -> None:
    """What ended is told as before, with its log line by line and its tags; roles have their policies."""
    with LocalCloud(state_folder=folder) as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1", "print('one'); print('two \\u00fc')", Tags=[{"Key": "study", "Value": "a"}])
        cloud.wait_for_job("train-1")
        iam = cloud.client("iam")
        iam.create_role(RoleName="mine", AssumeRolePolicyDocument="{}", Path="/team/", Description="of mine")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_role_policy(RoleName="mine", PolicyName="all", PolicyDocument=json.dumps(policy))
        before = _records(cloud)
    with LocalCloud(state_folder=folder) as cloud:
        assert _records(cloud) == before
        assert _records(cloud)["lines"] == ["one", "two ü"]
        trainer = Trainer(cloud)
        with pytest.raises(trainer.sagemaker.exceptions.ResourceInUse):
            trainer.create("train-1")
        trainer.create("train-2", "print('again')")
        assert cloud.wait_for_job("train-2")["status"] == "Completed"
        assert trainer.lines("train-2") == ["again"]


def _records(cloud: LocalCloud) -> dict[str, Any]:
    trainer, iam = Trainer(cloud), cloud.client("iam")
    arn = trainer.describe("train-1")["TrainingJobArn"]
    stream = trainer.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix="train-1/")["logStreams"][0]
    events = trainer.logs.get_log_events(
        logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    return {
        "job": without_moving_parts(trainer.describe("train-1")),
        "tags": trainer.sagemaker.list_tags(ResourceArn=arn)["Tags"],
        "lines": trainer.lines("train-1"),
        "events": events,
        "roles": sorted(role["RoleName"] for role in iam.list_roles()["Roles"]),
        "role": without_moving_parts(iam.get_role(RoleName="mine")),
        "policy": without_moving_parts(iam.get_role_policy(RoleName="mine", PolicyName="all")),
    }


def test_a_long_log_that_grows(folder: str) -> None:
    """What is added is saved without writing the rest again, and all lines come back in their order."""
    with LocalCloud(state_folder=folder) as cloud:
        logs = cloud.client("logs")
        logs.create_log_group(logGroupName="group")
        logs.create_log_stream(logGroupName="group", logStreamName="stream")
        began = int(cloud.control.status()["time"] * 1000)
        kept: set[str] = set()
        for batch in range(4):
            events = [{"timestamp": began + batch, "message": f"{batch}/{number}"} for number in range(3_000)]
            logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=events)
            cloud.save()
            pieces = {piece.name for piece in (Path(folder) / "pieces").iterdir()}
            # Full pieces of 5,000 lines stay as they are.
            assert len(kept & pieces) == (batch * 3_000) // 5_000
            kept = pieces
    with LocalCloud(state_folder=folder) as cloud:
        logs = cloud.client("logs")
        paginator = logs.get_paginator("filter_log_events")
        pages = paginator.paginate(logGroupName="group", logStreamNames=["stream"])
        found = [event["message"] for page in pages for event in page["events"]]
        assert found == [f"{batch}/{number}" for batch in range(4) for number in range(3_000)]


def test_a_killed_cloud_loses_seconds_at_most(folder: str) -> None:
    """The state is saved while the cloud runs; what was saved is there after SIGKILL."""
    with LocalCloud(state_folder=folder) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="key", Body=b"kept")
        state = Path(folder) / "state.json"
        wait_until(lambda: state.exists() and b'"key"' in state.read_bytes(), "a save without being asked")
        s3.put_object(Bucket=BUCKET, Key="key", Body=b"newer")
        cloud.save()
        cloud.kill()
    with LocalCloud(state_folder=folder) as cloud:
        assert cloud.client("s3").get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"newer"


def test_running_jobs_when_the_cloud_goes_down(folder: str) -> None:
    """Jobs that AWS would start again go on from their checkpoints as another run; others have failed, and say so."""
    with LocalCloud(state_folder=folder) as cloud:
        trainer = Trainer(cloud)
        trainer.create("spot", WAITS_ONCE, **SPOT)
        trainer.create("plain", "print('waiting', flush=True); import time; time.sleep(600)")
        trainer.create("stopping", "print('waiting', flush=True); import time; time.sleep(600)")
        for name in ("spot", "plain", "stopping"):
            trainer.wait_for_line(name, "waiting")
        trainer.sagemaker.stop_training_job(TrainingJobName="stopping")
        wait_until(
            lambda: trainer.s3.list_objects_v2(Bucket=BUCKET, Prefix="checkpoints").get("Contents"), "the checkpoint"
        )
    with LocalCloud(state_folder=folder) as cloud:
        assert cloud.wait_for_job("spot")["status"] == "Completed"
        trainer = Trainer(cloud)
        assert trainer.lines("spot") == ["waiting", "goes on from 7"]
        assert [job["run"] for job in cloud.jobs() if job["name"] == "spot"] == [1]
        plain = trainer.describe("plain")
        assert plain["TrainingJobStatus"] == "Failed"
        assert plain["FailureReason"].startswith("InternalServerError")
        assert trainer.describe("stopping")["TrainingJobStatus"] == "Stopped"


def test_one_cloud_at_a_time(folder: str) -> None:
    """A second cloud on the folder is refused; after a kill the folder is free at once."""
    with LocalCloud(state_folder=folder) as cloud:
        with pytest.raises(CloudStartFailed, match=f"Another local cloud uses the state folder {folder}"):
            LocalCloud(state_folder=folder).start()
        cloud.kill()
        with LocalCloud(state_folder=folder):
            pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is not the state of a local cloud"),
        ("{}", "is not the state of a local cloud"),
        ('{"format": 99}', "newer version of cloudtune"),
        ('{"format": 1}', "is damaged"),
        pytest.param('{"format": 1, "x": ' + "[" * 100_000, "cannot be read", id="nested"),
        ('{"format": 1, "time": NaN, "roles": [], "buckets": [], "logs": [], "jobs": []}', "the time is nan"),
        ('{"format": 1, "time": Infinity, "roles": [], "buckets": [], "logs": [], "jobs": []}', "the time is inf"),
        ('{"format": 1, "time": 1e300, "roles": [], "buckets": [], "logs": [], "jobs": []}', "the time is 1e"),
        ('{"format": 1, "time": 0, "roles": [{}], "buckets": [], "logs": [], "jobs": []}', "is damaged"),
    ],
)
def test_a_state_of_no_use(folder: str, content: str, said: str) -> None:
    """The cloud does not begin, names the file, and leaves it as it is."""
    state = Path(folder) / "state.json"
    state.parent.mkdir()
    state.write_text(content)
    with pytest.raises(CloudStartFailed, match=said) as caught:
        LocalCloud(state_folder=folder).start()
    assert str(state) in str(caught.value)
    assert state.read_text() == content


def test_damaged_and_missing_contents(folder: str) -> None:
    """An object whose content was changed or lost on disk is noticed, and its file named."""
    with LocalCloud(state_folder=folder) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="key", Body=b"content")
    (piece,) = (Path(folder) / "pieces").iterdir()
    assert piece.read_bytes() == b"content"
    piece.write_bytes(b"other")
    with pytest.raises(CloudStartFailed, match=f"{piece.name} is damaged"):
        LocalCloud(state_folder=folder).start()
    piece.unlink()
    with pytest.raises(CloudStartFailed, match=f"{piece.name} cannot be read"):
        LocalCloud(state_folder=folder).start()


def test_what_is_no_longer_used_is_forgotten(folder: str) -> None:
    """The folder does not grow with objects that were replaced or deleted."""
    with LocalCloud(state_folder=folder) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for number in range(5):
            s3.put_object(Bucket=BUCKET, Key="key", Body=b"%d" % number)
            s3.put_object(Bucket=BUCKET, Key="same", Body=b"%d" % number)
            cloud.save()
            assert len(list((Path(folder) / "pieces").iterdir())) == 1
        s3.delete_object(Bucket=BUCKET, Key="key")
    with LocalCloud(state_folder=folder) as cloud:
        assert cloud.client("s3").get_object(Bucket=BUCKET, Key="same")["Body"].read() == b"4"
        cloud.client("s3").delete_object(Bucket=BUCKET, Key="same")
    assert list((Path(folder) / "pieces").iterdir()) == []


def test_a_bucket_that_is_there_twice(folder: str) -> None:
    """What moto refuses is damage too."""
    with LocalCloud(state_folder=folder) as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
    state = Path(folder) / "state.json"
    content = json.loads(state.read_text())
    content["buckets"] *= 2
    state.write_text(json.dumps(content))
    with pytest.raises(CloudStartFailed, match="is damaged"):
        LocalCloud(state_folder=folder).start()


def test_a_save_that_there_is_no_room_for(folder: str) -> None:
    """It says so in one sentence and leaves nothing behind; once there is room all is saved, also what was not."""
    with LocalCloud(state_folder=folder) as cloud:
        server = psutil.Process(cloud.pid)
        if not hasattr(server, "rlimit"):  # only Linux lets others set limits
            return
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"a")
        cloud.save()
        _, most = server.rlimit(psutil.RLIMIT_FSIZE)
        server.rlimit(psutil.RLIMIT_FSIZE, (100_000, most))
        s3.put_object(Bucket=BUCKET, Key="b", Body=b"b")
        s3.put_object(Bucket=BUCKET, Key="c", Body=b"c" * 200_000)
        for _ in range(2):
            with pytest.raises(ControlRefused, match=r"state could not be saved to .*: File too large"):
                cloud.save()
        assert list((Path(folder) / "pieces").glob("*.new")) == []
        s3.put_object(Bucket=BUCKET, Key="c", Body=b"d")
        cloud.save()
        server.rlimit(psutil.RLIMIT_FSIZE, (most, most))
    with LocalCloud(state_folder=folder) as cloud:
        s3 = cloud.client("s3")
        found = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in ("a", "b", "c")}
        assert found == {"a": b"a", "b": b"b", "c": b"d"}


def test_a_state_can_be_copied(folder: str, tmp_path: Path) -> None:
    """The folder is all there is: elsewhere it is the same cloud."""
    with LocalCloud(state_folder=folder) as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
    shutil.copytree(folder, tmp_path / "copy")
    with LocalCloud(state_folder=str(tmp_path / "copy")) as cloud:
        assert [one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"]] == [BUCKET]


def test_a_reset_is_kept_too(folder: str) -> None:
    """Nothing comes back of what was thrown away."""
    with LocalCloud(state_folder=folder) as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        cloud.save()
        cloud.reset()
    with LocalCloud(state_folder=folder) as cloud:
        assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_time_goes_on(folder: str) -> None:
    """With scaled time a cloud ends in its own future; the next one begins there."""
    with LocalCloud(state_folder=folder, time_scale=100_000) as cloud:
        ended = cloud.control.status()["time"]
    with LocalCloud(state_folder=folder) as cloud:
        assert cloud.control.status()["time"] >= ended


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in its place is told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudStartFailed, match=r"state folder .*file.* cannot be used"):
        LocalCloud(state_folder=str(tmp_path / "file" / "state")).start()


def test_lines_that_faults_hold_back_are_kept(folder: str) -> None:
    """A cloud that goes down delivers what is late: nobody else could."""
    now = int(time.time() * 1000)
    with LocalCloud(state_folder=folder, faults=(Fault("late_logs", seconds=3600.0),)) as cloud:
        logs = cloud.client("logs")
        logs.create_log_group(logGroupName="group")
        logs.create_log_stream(logGroupName="group", logStreamName="stream")
        logs.put_log_events(
            logGroupName="group", logStreamName="stream", logEvents=[{"timestamp": now, "message": "late"}]
        )
        assert not logs.get_log_events(logGroupName="group", logStreamName="stream")["events"]
    with LocalCloud(state_folder=folder) as cloud:
        events = cloud.client("logs").get_log_events(logGroupName="group", logStreamName="stream")["events"]
        assert [event["message"] for event in events] == ["late"]
