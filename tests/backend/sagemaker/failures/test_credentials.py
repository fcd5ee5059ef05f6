"""Credentials that expire while an experiment runs, and buckets that are of no use."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.buckets import BucketMissing, BucketUnusable
from cloudtune.aws.errors import AccessDenied, CredentialsExpired
from cloudtune.localcloud import Fault
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until
from tests.backend.sagemaker.harness import BUCKET


@pytest.mark.parametrize("operation", ["sagemaker:*", "s3:*"])
def test_credentials_that_can_be_read_anew(experiment: Experiment, operation: str) -> None:
    """They are, once per refusal, and nobody notices."""
    with experiment.running([{"epochs": 3, "hold": 1}, {"epochs": 2}], tuner={"n_workers": 1}):
        experiment.wait_for_epoch(1)
        experiment.cloud.faults.add(Fault("expired_token", operation, who="client", count=1))
        experiment.release(0)
    assert len(experiment.cloud.faults.fired()) == 1
    assert experiment.ends() == ["Completed"] * 2
    experiment.check_whole()


@pytest.mark.parametrize("operation", ["*", "sagemaker:*", "s3:*"])
def test_a_tuner_without_credentials_ends_and_can_be_continued(experiment: Experiment, operation: str) -> None:
    """The tuner ends with a sentence that says what to do; the job runs on, and the same command continues."""
    configs = [{"epochs": 4, "hold": 2}]
    with pytest.raises(CredentialsExpired) as stopped, experiment.running(configs, stop_grace=1):
        experiment.wait_for_epoch(2)
        experiment.cloud.faults.add(Fault("expired_token", operation, who="client"))
    assert "has no valid AWS credentials (ExpiredToken" in str(stopped.value)
    assert str(stopped.value).endswith("; log in again (such as `aws sso login`) and run the same command to continue.")
    experiment.cloud.faults.clear()
    experiment.release(0)
    experiment.run(configs)
    assert experiment.epochs() == [1, 2, 3, 4]
    assert experiment.ends()[-1] == "Completed"
    experiment.check_whole()


def test_credentials_that_are_gone_while_a_checkpoint_is_copied(experiment: Experiment) -> None:
    """The tuner ends, and the trial has not failed: the same command copies the checkpoint, and it begins with it."""
    experiment.cloud.faults.add(Fault("expired_token", "s3:CopyObject", who="client"))
    configs = [{"epochs": 1}, {"epochs": 2}]
    work: dict[str, Any] = {"plan": {"sources": {1: 0}}, "tuner": {"n_workers": 1}}
    with pytest.raises(CredentialsExpired, match=r"s3:CopyObject .* has no valid AWS credentials"):
        experiment.run(configs, **work)
    assert "Failed" not in experiment.ends()
    experiment.cloud.faults.clear()
    experiment.run(configs, **work)
    assert experiment.ends(1)[-1] == "Completed"
    assert [entry["metrics"]["began_at"] for entry in experiment.reports(1)] == [1]
    experiment.check_whole()


def test_credentials_that_are_gone_from_the_start(experiment: Experiment) -> None:
    """Nothing was started, nothing has to be cleaned up, and the next command begins."""
    experiment.cloud.faults.add(Fault("expired_token", who="client"))
    with pytest.raises(CredentialsExpired, match="log in again"):
        experiment.run([{"epochs": 1}])
    assert experiment.jobs() == {}
    experiment.cloud.faults.clear()
    experiment.run([{"epochs": 1}])
    assert experiment.epochs() == [1]


def test_a_bucket_in_another_region(experiment: Experiment) -> None:
    """Refused before anything starts, with both ways out."""
    experiment.s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with pytest.raises(BucketUnusable) as refused:
        experiment.run([{"epochs": 1}], s3_path="s3://far-away")
    assert str(refused.value) == (
        "bucket far-away is in eu-central-1, and jobs run in us-east-1, which would be slow and billed as transfer; "
        "name a bucket in us-east-1, or work in the bucket's region (AWS_REGION=eu-central-1)"
    )
    assert experiment.jobs() == {}


def test_a_bucket_of_someone_else(experiment: Experiment) -> None:
    """Refused before anything was written to it: whoever owns it could read and change experiments."""
    experiment.s3.create_bucket(Bucket="not-mine")
    experiment.cloud.faults.add(Fault("access_denied", "s3:HeadBucket", resource="not-mine*", count=1))
    with pytest.raises(BucketUnusable) as refused:
        experiment.run([{"epochs": 1}], s3_path="s3://not-mine")
    assert str(refused.value) == (
        "bucket not-mine does not belong to account 123456789012 but to someone else, who could read and change all "
        "that experiments keep there; name a bucket of your own"
    )
    assert experiment.count("s3:PutObject") == 0
    assert experiment.jobs() == {}


def test_a_bucket_that_is_not_there(experiment: Experiment) -> None:
    """The message names the command that creates it, and the option does it at once."""
    with pytest.raises(
        BucketMissing, match=r"there is no bucket brand-new .*`cloudtune doctor --create-bucket --bucket"
    ):
        experiment.run([{"epochs": 1}], s3_path="s3://brand-new")
    experiment.run([{"epochs": 1}], s3_path="s3://brand-new", create_bucket=True)
    assert experiment.ends() == ["Completed"]


def test_a_right_that_is_taken_away(experiment: Experiment) -> None:
    """The tuner may not write to the bucket any more: it says what is missing, stops its jobs, and can go on.

    The agents cannot be told through S3 then, so SageMaker stops them; they save their checkpoints as ever.
    """
    configs = [{"epochs": 4, "hold": 2}]
    with pytest.raises(AccessDenied) as stopped, experiment.running(configs, stop_grace=1):
        experiment.wait_for_epoch(2)
        experiment.cloud.faults.add(Fault("access_denied", "s3:PutObject", who="client"))
    assert str(stopped.value).startswith(f"s3:PutObject of s3://{BUCKET}/{experiment.keys.life} is not allowed (")
    assert "; allow it in the IAM policy" in str(stopped.value)
    assert {job["name"]: job["status"] for job in experiment.cloud.jobs()} == {experiment.job(): "Stopped"}
    experiment.cloud.faults.clear()
    experiment.release(0)
    experiment.run(configs)
    assert experiment.epochs() == [1, 2, 3, 4]
    experiment.check_whole()


def test_a_right_on_jobs_that_is_taken_away(experiment: Experiment) -> None:
    """SageMaker tells the tuner nothing any more: it ends when the agents have heard, through S3, that they are to."""
    configs = [{"epochs": 4, "hold": 2}]
    with pytest.raises(AccessDenied, match="sagemaker:ListTrainingJobs is not allowed"), experiment.running(configs):
        experiment.wait_for_epoch(2)
        experiment.cloud.faults.add(Fault("access_denied", "sagemaker:ListTrainingJobs", who="client"))
    assert not experiment.says("may still run")
    assert experiment.cloud.wait_for_job(experiment.job())["status"] == "Completed"
    assert experiment.saved() == 2
    experiment.cloud.faults.clear()
    experiment.release(0)
    experiment.run(configs)
    assert experiment.epochs() == [1, 2, 3, 4]
    experiment.check_whole()


def test_a_life_object_that_somebody_deletes(experiment: Experiment) -> None:
    """The tuner writes it anew, and goes on."""
    with experiment.running([{"epochs": 3, "hold": 2}]):
        experiment.wait_for_epoch(2)
        experiment.s3.delete_object(Bucket=BUCKET, Key=experiment.keys.life)
        wait_until(lambda: experiment.objects(experiment.keys.life), "the next sign of life")
        experiment.release(0)
    assert experiment.ends() == ["Completed"]
    experiment.check_whole()
