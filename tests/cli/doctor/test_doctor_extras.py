"""``cloudtune doctor`` on keys of the account's own and on a VPC: which are in use, and the rights that they take."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.cli.doctor.diagnosis import ACCOUNT, BUCKET, allow, doctor, put_policy, run_printed

VPC = ("--subnet", "subnet-1", "--subnet", "subnet-2", "--security-group", "sg-1")
#: Enough for jobs without extras.
PLAIN = ("s3:*", "logs:*", "ecr:*", "cloudwatch:*")


@pytest.fixture
def key(ready: LocalCloud) -> str:
    """ARN of a key of the account's own."""
    return str(ready.client("kms").create_key()["KeyMetadata"]["Arn"])


def encrypt(cloud: LocalCloud, key: str, algorithm: str = "aws:kms") -> None:
    """Has the bucket encrypt with a key by default."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}}
    cloud.client("s3").put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def policy_in(fix: str) -> dict[str, Any]:
    """The policy that a printed command puts."""
    words = shlex.split(fix[fix.index("aws iam ") :])
    found: dict[str, Any] = json.loads(words[words.index("--policy-document") + 1])
    return found


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_the_key_of_the_bucket_takes_rights(ready: LocalCloud, key: str, algorithm: str) -> None:
    """Of the role, the caller and the tuner's role; each gets them by the command that is printed."""
    encrypt(ready, key, algorithm)
    iam = ready.client("iam")
    iam.create_user(UserName="moto")
    iam.put_user_policy(
        UserName="moto",
        PolicyName="some",
        PolicyDocument=json.dumps(allow("sagemaker:*", "iam:*", *PLAIN)),
    )
    put_policy(ready, "trials", *PLAIN)
    put_policy(ready, "tuners", "sagemaker:*", "iam:*", "servicequotas:*", *PLAIN)
    options = ("--role", "trials", "--tuner-role", "tuners")
    found = doctor(*options)
    assert found.code == 0, "the key's own policy may allow it, which cannot be seen"
    assert key in found.text("encryption")
    lacking = ["role: key of the bucket", "you: key of the bucket", "tuner: key of the bucket"]
    assert [what for what in found.findings if what.endswith("key of the bucket")] == lacking
    for what in lacking:
        assert found.state(what) == "warning"
        assert "kms:GenerateDataKey, kms:Decrypt" in found.text(what)
        assert "unless the key's own policy allows it" in found.text(what)
        (statement,) = policy_in(found.fix(what))["Statement"]
        assert statement["Resource"] == key
        run_printed(iam, found.fix(what))
    found = doctor(*options)
    assert not [what for what in found.findings if what.endswith("key of the bucket")]
    assert found.text("role: extras") == f"jobs may use the key {key.rpartition('/')[2]}"


def test_buckets_that_s3_encrypts_take_no_rights(ready: LocalCloud) -> None:
    """With keys of S3's own, or with the one that AWS keeps for the account; then nothing is said of it."""
    plain = list(doctor().findings)
    assert "encryption" not in plain
    encrypt(ready, "alias/aws/s3")
    found = doctor()
    assert [what for what in found.findings if what not in plain] == ["encryption"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    ready.client("s3").put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert list(doctor().findings) == plain


def test_a_bucket_whose_encryption_may_not_be_looked_at(ready: LocalCloud, faults: CloudFaults) -> None:
    """It is told, with the right; a key that is named makes the look superfluous."""
    faults.add("access_denied", operation="s3:GetBucketEncryption")
    found = doctor()
    assert found.code == 0
    assert found.state("encryption") == "warning"
    assert found.fix("encryption") == f"allow the caller s3:GetEncryptionConfiguration on arn:aws:s3:::{BUCKET}"
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234"
    assert "encryption" not in doctor("--kms-key", key).findings


def test_keys_of_output_and_disks_take_rights_of_their_own(ready: LocalCloud, key: str) -> None:
    """Of the jobs' role alone. A key of the experiments is that of the output, too, unless another is named."""
    put_policy(ready, "some", *PLAIN)
    disks = str(ready.client("kms").create_key()["KeyMetadata"]["Arn"])
    options = ("--role", "some", "--kms-key", key, "--volume-kms-key", disks)
    found = doctor(*options)
    lacking = [what for what in found.findings if what.startswith("role: ")]
    assert lacking == ["role: key of the bucket", "role: key of the output", "role: key of the disks"]
    assert not [what for what in found.findings if what.startswith("you: ")]
    wanted = {"role: key of the output": ({"kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"}, key)}
    wanted["role: key of the disks"] = ({"kms:CreateGrant"}, disks)
    for what, (actions, resource) in wanted.items():
        (statement,) = policy_in(found.fix(what))["Statement"]
        assert (set(statement["Action"]), statement["Resource"]) == (actions, resource)
    for what in lacking:
        run_printed(ready.client("iam"), found.fix(what))
    assert [what for what in doctor(*options).findings if what.startswith("role: ")] == ["role: extras"]
    other = doctor("--role", "some", "--kms-key", key, "--output-kms-key", disks)
    (statement,) = policy_in(other.fix("role: key of the output"))["Statement"]
    assert statement["Resource"] == disks


@pytest.mark.parametrize("form", ["arn", "id", "alias", "alias arn"])
def test_keys_are_named_as_aws_names_them(ready: LocalCloud, key: str, form: str) -> None:
    """Policies take the ARN of a key only, so that of an id or alias is looked up."""
    ready.client("kms").create_alias(AliasName="alias/mine", TargetKeyId=key)
    named = {
        "arn": key,
        "id": key.rpartition("/")[2],
        "alias": "alias/mine",
        "alias arn": f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/mine",
    }
    put_policy(ready, "some", *PLAIN)
    found = doctor("--role", "some", "--volume-kms-key", named[form])
    (statement,) = policy_in(found.fix("role: key of the disks"))["Statement"]
    assert statement["Resource"] == key


def test_a_key_that_is_not_there_is_a_problem(ready: LocalCloud, key: str) -> None:
    """Nor is one that is disabled of use."""
    missing = doctor("--volume-kms-key", "alias/nobodys")
    assert missing.problems() == ["volume key"]
    assert "alias/nobodys of --volume-kms-key" in missing.text("volume key")
    ready.client("kms").disable_key(KeyId=key.rpartition("/")[2])
    disabled = doctor("--kms-key", key.rpartition("/")[2])
    assert disabled.problems() == ["bucket key"]
    assert "is Disabled" in disabled.text("bucket key")
    assert key in disabled.fix("bucket key")


def test_a_vpc_takes_the_rights_of_sagemakers_guide(ready: LocalCloud) -> None:
    """Without them no job can start: a problem of both roles, which the printed commands mend."""
    for role in ("trials", "tuners"):
        put_policy(ready, role, "sagemaker:*", "iam:*", "servicequotas:*", *PLAIN)
    options = ("--role", "trials", "--tuner-role", "tuners", *VPC)
    found = doctor(*options)
    things = ("VPC", "subnets", "security groups")
    assert found.problems() == [f"{of}: {thing}" for of in ("role", "tuner") for thing in things]
    assert "ec2:CreateNetworkInterface, " in found.text("role: VPC")
    assert found.text("role: subnets") == "jobs may not ec2:CreateNetworkInterface: no job can start in them"
    resources = [one["Resource"] for one in policy_in(found.fix("role: subnets"))["Statement"]]
    assert resources == [f"arn:aws:ec2:us-east-1:{ACCOUNT}:subnet/subnet-{number}" for number in (1, 2)]
    for what in found.problems():
        run_printed(ready.client("iam"), found.fix(what))
    found = doctor(*options)
    assert found.problems() == []
    assert found.text("role: extras") == "jobs may use the subnets subnet-1, subnet-2"


def test_one_subnet_that_is_not_allowed_is_enough(ready: LocalCloud) -> None:
    """Jobs run in whichever of them SageMaker chooses."""
    put_policy(ready, "some", *PLAIN)
    statements = policy_in(doctor("--role", "some", *VPC).fix("role: subnets"))["Statement"]
    document = {"Version": "2012-10-17", "Statement": statements[:1]}
    ready.client("iam").put_role_policy(RoleName="some", PolicyName="one", PolicyDocument=json.dumps(document))
    assert "role: subnets" in doctor("--role", "some", *VPC).problems()


def test_subnets_without_security_groups_are_a_problem(ready: LocalCloud) -> None:
    """SageMaker would refuse the job; and the other way round."""
    assert doctor("--subnet", "subnet-1").fix("VPC") == "add --security-group"
    assert doctor("--security-group", "sg-1").problems() == ["VPC"]
