"""The least IAM policies: the files in the documentation, other places than the usual, the command that prints them.

That they are enough, and no more than that, stands in tests/remote/test_permissions.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudtune.aws.policies import DOCUMENTS, FILES, OPTIONAL, Site, examples, policy, trust_policy, write_examples
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from tests.aws.all_extras import ALL_EXTRAS

IAM_DOCS = Path(__file__).parents[2] / "docs" / "iam"
REGENERATE = (
    "python -c 'from pathlib import Path; from cloudtune.aws.policies import write_examples; "
    'write_examples(Path("docs/iam"))\''
)
KMS = "arn:aws:kms:us-east-1:123456789012:key/"
ROLES = "arn:aws:iam::123456789012:role/"
SITE = Site(
    "aws", "eu-west-1", "123456789012", "data", f"{ROLES}tuner", f"{ROLES}trial", ("arn:aws:ecr:x:1:repository/i",)
)


def test_the_files_in_the_documentation_are_up_to_date(tmp_path: Path) -> None:
    """They are generated; who changes the table of rights writes them anew."""
    write_examples(tmp_path)
    assert {path.name for path in IAM_DOCS.iterdir()} == {*FILES, *OPTIONAL} == set(examples())
    for name in (*FILES, *OPTIONAL):
        assert (IAM_DOCS / name).read_text() == (tmp_path / name).read_text(), f"regenerate with: {REGENERATE}"


@pytest.mark.parametrize("site", [SITE, replace(SITE, extras=ALL_EXTRAS)], ids=["plain", "extras"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_policies_are_as_iam_wants_them(document: str, site: Site) -> None:
    """Each statement has a name of its own in letters and digits, and no placeholder or None in what it names."""
    statements = policy(document, site)["Statement"]
    names = [statement["Sid"] for statement in statements]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() for name in names)
    assert "None" not in json.dumps(statements)
    assert "<" not in json.dumps(statements)


def test_everything_stays_below_a_prefix() -> None:
    """Teams that share a bucket are kept apart by prefixes."""
    for document in DOCUMENTS:
        of_s3 = [
            one
            for one in policy(document, replace(SITE, prefix="team-a/"))["Statement"]
            if one["Action"][0].startswith("s3:")
        ]
        assert [one["Resource"] for one in of_s3 if one["Sid"] == "Experiments"] == [
            "arn:aws:s3:::data/team-a/cloudtune/*"
        ]
        conditions = [one["Condition"] for one in of_s3 if one["Sid"] == "ListExperiments"]
        assert conditions == [{"StringLikeIfExists": {"s3:prefix": "team-a/cloudtune/*"}}]


def test_one_role_for_tuners_and_trials_is_named_once() -> None:
    """It is passed on all the same."""
    passed = [
        one["Resource"]
        for one in policy("tuner", replace(SITE, trial_role=SITE.tuner_role))["Statement"]
        if one["Action"] == ["iam:PassRole"]
    ]
    assert passed == [SITE.tuner_role]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_command_prints_a_policy_for_the_account(local_cloud: LocalCloud, document: str) -> None:
    """With its account, region, bucket, roles and image; the roles need not exist."""
    options = ("--bucket", "s3://data/team", "--trial-role", "path/trial", "--tuner-role", f"{ROLES}tuner")
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"
    done = CliRunner().invoke(main, ["policy", document, *options, "--image", image])
    assert done.exit_code == 0, done.output
    wanted = replace(
        SITE,
        region="us-east-1",
        trial_role=f"{ROLES}path/trial",
        images=("arn:aws:ecr:us-east-1:123456789012:repository/train",),
        prefix="team",
    )
    assert json.loads(done.output) == policy(document, wanted)


def test_the_command_knows_the_usual_names(local_cloud: LocalCloud) -> None:
    """Without options: the account's default bucket, roles named after what they are for, the images of tuners."""
    done = CliRunner().invoke(main, ["policy", "tuner"])
    assert done.exit_code == 0, done.output
    by_name = {one["Sid"]: one["Resource"] for one in json.loads(done.output)["Statement"]}
    assert by_name["Experiments"] == "arn:aws:s3:::sagemaker-us-east-1-123456789012/cloudtune/*"
    assert by_name["PassTheRoleOfTrials"] == f"{ROLES}cloudtune-trial"
    assert by_name["PassTheRoleOfTuners"] == f"{ROLES}cloudtune-tuner"
    assert "arn:aws:ecr:us-east-1:123456789012:repository/cloudtune-tuner" in by_name["PullTheImage"]


def test_keys_and_networks_are_added_where_they_are_named(local_cloud: LocalCloud) -> None:
    """They are what the optional files in the documentation have; the user takes the bucket's key only."""
    options = ["--kms-key", f"{KMS}1", "--volume-kms-key", f"{KMS}2", "--subnet", "subnet-1", "--subnet", "subnet-2"]
    added = {}
    for document in DOCUMENTS:
        done = CliRunner().invoke(main, ["policy", document, *options, "--security-group", "sg-1"])
        assert done.exit_code == 0, done.output
        plain = CliRunner().invoke(main, ["policy", document])
        before = json.loads(plain.output)["Statement"]
        added[document] = {
            one["Sid"]: one["Resource"] for one in json.loads(done.output)["Statement"] if one not in before
        }
    ec2 = "arn:aws:ec2:us-east-1:123456789012:"
    assert added["user"] == {"KeyOfTheBucket": f"{KMS}1"}
    assert added["tuner"] == added["trials"]
    assert added["trials"] == {
        "KeyOfTheBucket": f"{KMS}1",
        "KeyOfTheOutput": f"{KMS}1",
        "KeyOfTheDisks": f"{KMS}2",
        "NetworkInterfaces": f"{ec2}network-interface/*",
        "NetworksHaveNoResource": "*",
        "Subnets": [f"{ec2}subnet/subnet-1", f"{ec2}subnet/subnet-2"],
        "SecurityGroups": f"{ec2}security-group/sg-1",
    }
    shown = {one["Sid"]: one["Action"] for name in OPTIONAL for one in examples()[name]["Statement"]}
    assert shown == {
        one["Sid"]: one["Action"] for one in json.loads(done.output)["Statement"] if one["Sid"] in added["trials"]
    }


def test_a_key_that_is_not_there(local_cloud: LocalCloud) -> None:
    """No policy is printed that would allow nothing; one sentence says what is wrong, and what can be named."""
    done = CliRunner().invoke(main, ["policy", "tuner", "--kms-key", "no-such-key"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no-such-key of --kms-key" in done.stderr
    assert "check name, region and account; name a key" in done.stderr


def test_only_what_aws_cannot_limit_is_allowed_on_everything() -> None:
    """Looks at networks, and to take back a permission on an interface, which has no resource."""
    everything = [
        one
        for name in OPTIONAL
        for one in examples()[name]["Statement"]
        if one["Resource"] == "*" or "*" in "".join(one["Action"])
    ]
    (statement,) = everything
    assert statement["Sid"] == "NetworksHaveNoResource"
    assert [action for action in statement["Action"] if not action.startswith("ec2:Describe")] == [
        "ec2:DeleteNetworkInterfacePermission"
    ]


def test_subnets_without_groups_are_refused(local_cloud: LocalCloud) -> None:
    """As SageMaker would refuse them."""
    done = CliRunner().invoke(main, ["policy", "trials", "--subnet", "subnet-1"])
    assert done.exit_code != 0
    assert "SageMaker wants subnets and security groups, or neither; add --security-group" in done.output


def test_the_command_prints_the_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the same for all accounts: no credentials are needed."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    done = CliRunner().invoke(main, ["policy", "trust"])
    assert json.loads(done.output) == trust_policy()


def test_an_image_that_is_nowhere_in_ecr_is_refused(local_cloud: LocalCloud) -> None:
    """No policy could let it be pulled."""
    done = CliRunner().invoke(main, ["policy", "trials", "--image", "docker.io/python:3.12"])
    assert done.exit_code != 0
    assert "docker.io/python:3.12 is in no repository of ECR" in done.output
