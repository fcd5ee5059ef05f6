"""The cloud inside the test's own process."""

from __future__ import annotations

import os
import threading

import boto3
import pytest
from moto import mock_aws
from moto.sagemaker.urls import url_paths

from cloudtune.localcloud import Fault, InProcessCloud
from tests.localcloud.conftest import BUCKET, Trainer, wait_until


def test_jobs_are_moved_by_hand() -> None:
    """A job is what the test says, and clients see each step."""
    with InProcessCloud() as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1")
        assert trainer.describe("train-1")["TrainingJobStatus"] == "InProgress"
        job = cloud.job("train-1")
        job.move("Training", "Training in progress")
        assert trainer.describe("train-1")["SecondaryStatus"] == "Training"
        job.finish("Failed", "Failed", "Training job failed", "AlgorithmError: no such luck")
        assert trainer.describe("train-1")["FailureReason"] == "AlgorithmError: no such luck"
        assert [one.name for one in cloud.jobs()] == ["train-1"]
        with pytest.raises(KeyError, match="train-2"):
            cloud.job("train-2")


def test_a_stop_waits_for_the_test() -> None:
    """Without an executor nobody ends a job that was told to stop."""
    with InProcessCloud() as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1")
        trainer.sagemaker.stop_training_job(TrainingJobName="train-1")
        assert trainer.describe("train-1")["TrainingJobStatus"] == "Stopping"
        cloud.job("train-1").finish("Stopped", "Stopped", "Training job stopped")
        assert trainer.describe("train-1")["TrainingJobStatus"] == "Stopped"


def test_calls_faults_and_limits() -> None:
    """The same switches as those of a server."""
    with InProcessCloud(faults=(Fault("slow_down", operation="s3:PutObject", count=1),)) as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="key", Body=b"x")
        assert cloud.call_counts() == {"s3:CreateBucket": 1, "s3:PutObject": 2}
        assert [call.status for call in cloud.calls(operation="s3:PutObject")] == [503, 200]
        (fired,) = cloud.faults.fired()
        number = cloud.faults.add("access_denied", operation="s3:GetObject")
        assert {fired.fault_id, number} == set(cloud.faults.list())
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.get_object(Bucket=BUCKET, Key="key")
        cloud.faults.remove(number)
        with pytest.raises(KeyError, match=str(number)):
            cloud.faults.remove(number)
        cloud.faults.clear()
        assert cloud.faults.list() == {}
        cloud.set_quota("ml.m5.large for training job usage", 0)
        trainer = Trainer(cloud)
        with pytest.raises(trainer.sagemaker.exceptions.ResourceLimitExceeded):
            trainer.create("train-1")


def test_each_begins_empty() -> None:
    """Nothing of one cloud is found in the next."""
    for _ in range(2):
        with InProcessCloud() as cloud:
            assert cloud.client("s3").list_buckets()["Buckets"] == []
            assert cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
            Trainer(cloud).create("train-1")


def test_moto_is_as_before() -> None:
    """At the end moto has its own handlers again, and the environment is what it was."""
    before, environment = dict(url_paths), dict(os.environ)
    with InProcessCloud(account="210987654321") as cloud:
        assert dict(url_paths) != before
        assert cloud.client("sts").get_caller_identity()["Account"] == "210987654321"
    assert dict(url_paths) == before
    assert dict(os.environ) == environment
    with mock_aws():
        client = boto3.client("sts", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        assert client.get_caller_identity()["Account"] == "123456789012"


def test_moto_is_as_before_when_the_body_raises() -> None:
    """An error in a test does not reach the next one."""
    before = dict(url_paths)
    with pytest.raises(ZeroDivisionError), InProcessCloud():
        raise ZeroDivisionError
    assert dict(url_paths) == before


def test_one_at_a_time() -> None:
    """A second one in the process is refused, and the first goes on."""
    with InProcessCloud() as cloud:
        with pytest.raises(RuntimeError, match="room for one"), InProcessCloud():
            pass
        cloud.client("s3").create_bucket(Bucket=BUCKET)
    with InProcessCloud():
        pass


def test_inside_mock_aws() -> None:
    """Where moto is mocking already, the cloud could not begin empty: refused, and moto goes on."""
    with mock_aws():
        with pytest.raises(RuntimeError, match="active already"), InProcessCloud():
            pass
        boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x").create_bucket(Bucket=BUCKET)


def test_no_client_without_a_cloud() -> None:
    """A client made before or after would reach AWS: refused."""
    cloud = InProcessCloud()
    with pytest.raises(RuntimeError, match="with InProcessCloud"):
        cloud.client("s3")


def test_plain_boto3_inside() -> None:
    """All clients of the process are answered, in the cloud's region, whatever the environment says."""
    with InProcessCloud(region="eu-west-1") as cloud:
        assert boto3.client("sagemaker").meta.region_name == "eu-west-1"
        boto3.client("sagemaker").list_training_jobs()
        assert cloud.call_counts() == {"sagemaker:ListTrainingJobs": 1}


def test_jobs_that_run() -> None:
    """With run_jobs the container really runs: channel in, log and model out; S3 is out of its reach."""
    threads = set(threading.enumerate())
    with InProcessCloud(run_jobs=True) as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1", "open('/opt/ml/model/weights', 'w').write('1'); print('ran')")
        assert cloud.job("train-1").wait(60)
        assert trainer.describe("train-1")["TrainingJobStatus"] == "Completed"
        assert trainer.lines("train-1") == ["ran"]
        assert trainer.body("output/train-1/output/model.tar.gz")
        trainer.create("train-2", "import time; time.sleep(600)")
        wait_until(lambda: trainer.describe("train-2")["SecondaryStatus"] == "Training")
    assert set(threading.enumerate()) <= threads
