"""The credentials of training jobs."""

from __future__ import annotations

import datetime as dt

import pytest
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from cloudtune.localcloud.gate import identities
from tests.localcloud.gate.stand_in import ROLE, StandIn, client, open_gate, session_of, training_job


def test_a_call_from_inside_a_job_is_known_as_such(cloud: StandIn) -> None:
    """The record names the job that called, and STS names the job's role, which need not exist."""
    job = training_job(cloud)
    credentials = cloud.identities.credentials(cloud.identities.issue(job))
    inside = client("sts", **session_of(credentials))
    assert inside.get_caller_identity()["Arn"] == "arn:aws:sts::123456789012:assumed-role/tuning/SageMaker"
    client("sts").get_caller_identity()
    assert [(call.who, call.job) for call in cloud.calls.calls()] == [("job:train-1", "train-1"), ("client", "")]


def test_credentials_are_what_a_container_expects(cloud: StandIn) -> None:
    """botocore's provider for containers reads exactly these, and an expiration with a time zone."""
    credentials = cloud.identities.credentials(cloud.identities.issue(training_job(cloud)))
    assert credentials is not None
    assert set(credentials) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "RoleArn"}
    assert credentials["RoleArn"] == ROLE
    expires = dt.datetime.strptime(credentials["Expiration"], "%Y-%m-%dT%H:%M:%S%z")
    assert dt.timedelta(minutes=55) < expires - dt.datetime.now(dt.timezone.utc) <= dt.timedelta(hours=1)


def test_a_token_is_long_and_its_own(cloud: StandIn) -> None:
    """Another job cannot guess it, and a wrong one gives nothing."""
    tokens = {cloud.identities.issue(training_job(cloud, f"train-{number}")) for number in range(50)}
    assert len(tokens) == 50
    assert min(len(token) for token in tokens) >= 40
    assert cloud.identities.credentials("guessed") is None


def test_credentials_are_kept_until_they_run_out(cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking again gives the same; near their end there are new ones, and both mean the job."""
    token = cloud.identities.issue(training_job(cloud))
    first = cloud.identities.credentials(token)
    assert cloud.identities.credentials(token) == first
    monkeypatch.setattr(identities, "_RENEWED_BEFORE", dt.timedelta(seconds=identities.LIFETIME + 1))
    second = cloud.identities.credentials(token)
    assert first is not None
    assert second is not None
    assert first["AccessKeyId"] != second["AccessKeyId"]
    assert {cloud.identities.who(each["AccessKeyId"]) for each in (first, second)} == {"job:train-1"}


def test_a_revoked_job_leaves_nothing_behind(cloud: StandIn) -> None:
    """Neither with us nor in moto's IAM and STS, where a thousand jobs would pile up; other jobs keep theirs."""
    job, other = training_job(cloud), training_job(cloud, "train-2")
    tokens = [cloud.identities.issue(job), cloud.identities.issue(job)]
    keys = [str((cloud.identities.credentials(token) or {})["AccessKeyId"]) for token in tokens]
    kept = cloud.identities.credentials(cloud.identities.issue(other))
    assert kept is not None
    cloud.identities.revoke(job)
    cloud.identities.revoke(job)
    assert [cloud.identities.who(key) for key in keys] == ["client", "client"]
    assert [cloud.identities.credentials(token) for token in tokens] == [None, None]
    assert list(iam_backends["123456789012"]["aws"].access_keys) == [kept["AccessKeyId"]]
    assert [role.access_key_id for role in sts_backends["123456789012"]["aws"].assumed_roles] == [kept["AccessKeyId"]]
    assert cloud.identities.who(kept["AccessKeyId"]) == "job:train-2"


def test_a_job_belongs_to_the_account_of_its_cloud() -> None:
    """Clouds may have another account than moto's default: client and job see the same buckets there."""
    with open_gate(account="210987654321") as cloud:
        client("s3").create_bucket(Bucket="models")
        inside = session_of(cloud.identities.credentials(cloud.identities.issue(training_job(cloud))))
        client("s3", **inside).put_object(Bucket="models", Key="a", Body=b"1", ExpectedBucketOwner="210987654321")
        assert client("sts").get_caller_identity()["Account"] == "210987654321"
        assert cloud.storage.read("models", "a") == b"1"
        with pytest.raises(ClientError, match="AccessDenied"):
            client("s3").list_objects_v2(Bucket="models", ExpectedBucketOwner="123456789012")
