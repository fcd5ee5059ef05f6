"""The bucket of experiments: found, created, and refused where it is of no use."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cloudtune.aws.buckets import BucketFound, BucketMissing, BucketUnusable, default_bucket_name, find_bucket
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, InvalidRequest
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults

ACCOUNT = "123456789012"
DEFAULT = f"sagemaker-us-east-1-{ACCOUNT}"
OTHER_ACCOUNT = "999999999999"


class Stranger(Aws):
    """Somebody of another account, as far as we know: all buckets of the local cloud are somebody else's to them."""

    account = OTHER_ACCOUNT


def test_the_default_bucket_is_created_on_request_only(local_cloud: LocalCloud) -> None:
    """Looking changes nothing and says what to type; asked to, the bucket is made, and found ever after."""
    aws = Aws()
    assert default_bucket_name(aws) == DEFAULT
    with pytest.raises(BucketMissing, match=f"{DEFAULT}.*cloudtune doctor --create-bucket"):
        find_bucket(aws)
    assert local_cloud.client("s3").list_buckets()["Buckets"] == []
    assert find_bucket(aws, create=True) == BucketFound(DEFAULT, ACCOUNT, created=True)
    assert find_bucket(aws, create=True) == BucketFound(DEFAULT, ACCOUNT)
    assert find_bucket(aws) == BucketFound(DEFAULT, ACCOUNT)


def test_a_new_bucket_is_closed_to_the_public(local_cloud: LocalCloud) -> None:
    """All four switches of the public access block are on."""
    find_bucket(Aws(), create=True)
    block = local_cloud.client("s3").get_public_access_block(Bucket=DEFAULT)["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )


def test_a_bucket_is_created_in_the_region_of_the_jobs(local_cloud: LocalCloud) -> None:
    """Elsewhere than in us-east-1 the region has to be said; it is in the default name too."""
    found = find_bucket(Aws("eu-west-1"), create=True)
    assert found.name == f"sagemaker-eu-west-1-{ACCOUNT}"
    assert local_cloud.client("s3").get_bucket_location(Bucket=found.name)["LocationConstraint"] == "eu-west-1"
    assert find_bucket(Aws("eu-west-1")).name == found.name


@pytest.mark.parametrize(
    ("given", "name", "prefix"),
    [
        ("data-1", "data-1", ""),
        ("s3://data-1", "data-1", ""),
        ("s3://data-1/", "data-1", ""),
        ("s3://data-1/team/experiments/", "data-1", "team/experiments"),
    ],
)
def test_a_bucket_can_be_named_as_a_path(local_cloud: LocalCloud, given: str, name: str, prefix: str) -> None:
    """What stands behind the bucket is handed back; the owner is for S3 to check at every call."""
    local_cloud.client("s3").create_bucket(Bucket=name)
    assert find_bucket(Aws(), given) == BucketFound(name, ACCOUNT, prefix)
    assert "s3:GetBucketLocation" not in local_cloud.call_counts(), "the first answer tells the region too"


@pytest.mark.parametrize(
    "given", ["Data", "a", "data_1", "data/prefix", "https://data", "s3://", "192.168.0.1", "a..b", "-ab", "x" * 64]
)
def test_a_name_that_no_bucket_has_is_refused_before_aws_is_asked(given: str) -> None:
    """The message shows what was given, and how buckets are named."""
    with pytest.raises(BucketUnusable, match="names no S3 bucket") as raised:
        find_bucket(Aws("us-east-1"), given)
    assert repr(given) in str(raised.value)


def test_a_bucket_in_another_region_is_refused(local_cloud: LocalCloud) -> None:
    """Jobs would pay for every byte: the message names both regions and the two ways out."""
    local_cloud.client("s3").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "ap-south-1"}
    )
    with pytest.raises(BucketUnusable, match=r"far-away is in ap-south-1.*us-east-1.*AWS_REGION=ap-south-1"):
        find_bucket(Aws("us-east-1"), "far-away", create=True)
    assert find_bucket(Aws("ap-south-1"), "far-away").name == "far-away"


def test_a_bucket_of_somebody_else_is_refused(local_cloud: LocalCloud) -> None:
    """Also where its owner lets us in: the default name can be taken by anyone who knows our account number."""
    name = f"sagemaker-us-east-1-{OTHER_ACCOUNT}"
    local_cloud.client("s3").create_bucket(Bucket=name)
    with pytest.raises(BucketUnusable, match=f"{name} does not belong to account {OTHER_ACCOUNT}.*someone else"):
        find_bucket(Stranger(), create=True)


def test_a_closed_bucket_is_told_from_a_missing_one(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """Without the right to look, the message names the right and the bucket."""
    local_cloud.client("s3").create_bucket(Bucket="closed")
    faults.add("access_denied", operation="s3:HeadBucket")
    with pytest.raises(BucketUnusable, match=r"closed to account.*s3:ListBucket on arn:aws:s3:::closed"):
        find_bucket(Aws(), "closed", create=True)


def test_who_may_not_create_is_told_so(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """The refusal of the creation is what the caller sees."""
    faults.add("access_denied", operation="s3:CreateBucket")
    with pytest.raises(AccessDenied, match="CreateBucket"):
        find_bucket(Aws(), create=True)


def test_a_bucket_that_cannot_be_closed_once_more_is_used(
    local_cloud: LocalCloud, faults: CloudFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS closes new buckets by itself; lacking the right to say it again is worth a warning only."""
    faults.add("access_denied", operation="s3:PutBucketPublicAccessBlock")
    faults.add("access_denied", operation="s3:PutPublicAccessBlock")
    assert find_bucket(Aws(), create=True).created
    assert DEFAULT in caplog.text


def test_many_may_create_it_at_once(local_cloud: LocalCloud) -> None:
    """Twenty tuners that start together all get the bucket."""
    aws = Aws("eu-west-1")
    aws.client("s3")
    found: list[BucketFound] = []
    start = threading.Barrier(20)

    def tuner() -> None:
        start.wait()
        found.append(find_bucket(aws, create=True))

    threads = [threading.Thread(target=tuner) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.name for one in found} == {f"sagemaker-eu-west-1-{ACCOUNT}"}
    assert len(found) == 20


def test_a_creation_that_another_has_won_is_no_failure(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look and our creation the bucket can come to be: ours all the same, though not created by us."""
    aws = Aws("eu-west-1")
    rival = local_cloud.client("s3", region_name="eu-west-1")
    real = aws.call
    looks: list[str] = []

    def call(service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "create_bucket":
            looks.append(operation)
            rival.create_bucket(**params)
        return real(service, operation, **params)

    monkeypatch.setattr(aws, "call", call)
    found = find_bucket(aws, create=True)
    assert looks == ["create_bucket"]
    assert not found.created
    block = rival.get_public_access_block(Bucket=found.name)["PublicAccessBlockConfiguration"]
    assert all(block.values()), "whoever won may have died before closing it"


def test_a_name_that_is_taken_meanwhile_by_somebody_else_is_refused(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losing the race to a stranger must not make the stranger's bucket ours."""
    aws = Stranger("eu-west-1")
    rival = local_cloud.client("s3", region_name="eu-west-1")
    real = aws.call

    def call(service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "create_bucket":
            rival.create_bucket(**params)
        return real(service, operation, **params)

    monkeypatch.setattr(aws, "call", call)
    with pytest.raises(BucketUnusable, match="someone else"):
        find_bucket(aws, create=True)


class Answers(Aws):
    """S3 as it may answer in other regions and to callers with few rights, call by call."""

    account = ACCOUNT

    def __init__(self, region: str, **answers: Any) -> None:
        super().__init__(region)
        self.answers = answers

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        answer = self.answers[operation]
        if isinstance(answer, Exception):
            raise answer
        given: dict[str, Any] = answer
        return given


@pytest.mark.parametrize(
    ("told", "region"),
    [({}, "us-east-1"), ({"LocationConstraint": None}, "us-east-1"), ({"LocationConstraint": "EU"}, "eu-west-1")],
)
def test_older_names_of_regions_are_understood(told: dict[str, str | None], region: str) -> None:
    """Where the first answer does not tell the region, S3 is asked, which has two names of its own."""
    assert find_bucket(Answers(region, head_bucket={}, get_bucket_location=told), "data").name == "data"
    with pytest.raises(BucketUnusable, match=f"data is in {region}, and jobs run in sa-east-1"):
        find_bucket(Answers("sa-east-1", head_bucket={}, get_bucket_location=told), "data")


def test_a_region_that_nobody_tells_is_no_objection() -> None:
    """The bucket answers us; that the right to ask for its region is missing does not make it unusable."""
    aws = Answers("sa-east-1", head_bucket={}, get_bucket_location=AccessDenied("no"))
    assert find_bucket(aws, "data").name == "data"


@pytest.mark.parametrize("code", ["301", "PermanentRedirect"])
def test_a_redirect_means_another_region(code: str) -> None:
    """S3 may refuse to answer for a bucket elsewhere; any other refusal is shown as it is."""
    moved = InvalidRequest("moved", code)
    with pytest.raises(BucketUnusable, match="data is in ap-south-1"):
        find_bucket(
            Answers("sa-east-1", head_bucket=moved, get_bucket_location={"LocationConstraint": "ap-south-1"}), "data"
        )
    with pytest.raises(BucketUnusable, match="data is in another region"):
        find_bucket(Answers("sa-east-1", head_bucket=moved, get_bucket_location=AccessDenied("no")), "data")
    with pytest.raises(InvalidRequest, match="what is that"):
        find_bucket(Answers("sa-east-1", head_bucket=InvalidRequest("what is that", "400")), "data")
