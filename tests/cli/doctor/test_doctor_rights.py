"""``cloudtune doctor`` on the roles of jobs and on rights, and the commands that it prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.cli.doctor.diagnosis import ACCOUNT, BUCKET, LOCAL, allow, doctor, put_policy, run_printed


def test_a_role_that_does_not_exist_is_a_problem(ready: LocalCloud) -> None:
    """By name or by ARN, or with a path that is not its own; the fix then is the right ARN."""
    assert "gone" in doctor("--role", "gone").text("role")
    assert "does not exist" in doctor("--role", f"arn:aws:iam::{ACCOUNT}:role/gone").text("role")
    wrong = doctor("--role", f"arn:aws:iam::{ACCOUNT}:role/path/cloudtune-local-role")
    assert wrong.problems() == ["role"]
    assert wrong.fix("role") == f"--role {LOCAL}"
    other = doctor("--role", "arn:aws:iam::999999999999:role/theirs")
    assert other.problems() == ["role"]
    assert "another account" in other.text("role")


def test_a_role_that_may_not_be_looked_at_is_a_warning(ready: LocalCloud, faults: CloudFaults) -> None:
    """Who may pass a role often may not read it: jobs may start all the same, and its rights are asked for."""
    faults.add("access_denied", operation="iam:GetRole")
    found = doctor("--role", LOCAL)
    assert found.code == 0
    assert found.state("role") == "warning"
    assert found.fix("role") == f"allow the caller iam:GetRole on {LOCAL}"
    assert found.state("role's rights") == "ok"


def test_a_role_that_sagemaker_may_not_assume_is_mended_by_the_fix(ready: LocalCloud) -> None:
    """The printed policy is one that IAM takes, and after it the role is well."""
    put_policy(ready, "lambdas", "s3:*")
    iam = ready.client("iam")
    principal = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    lambdas = {"Version": "2012-10-17", "Statement": [principal]}
    iam.update_assume_role_policy(RoleName="lambdas", PolicyDocument=json.dumps(lambdas))
    found = doctor("--role", "lambdas")
    assert found.problems() == ["role"]
    begin, _, policy = found.fix("role").partition("--policy-document ")
    assert begin == "aws iam update-assume-role-policy --role-name lambdas "
    iam.update_assume_role_policy(RoleName="lambdas", PolicyDocument=policy.strip("'"))
    assert doctor("--role", "lambdas").state("role") == "ok"


@pytest.mark.parametrize(
    ("actions", "state", "words"),
    [
        (("s3:*",), "ok", ["may read and write"]),
        (("s3:Get*", "s3:List*"), "warning", ["may not write", "s3:PutObject", "s3:DeleteObject"]),
        (("s3:PutObject", "s3:GetObject"), "problem", ["may not read", "s3:ListBucket"]),
        (("logs:*",), "problem", ["may not read", "s3:GetObject"]),
    ],
)
def test_the_rights_of_a_role_are_told(
    ready: LocalCloud, actions: tuple[str, ...], state: str, words: list[str]
) -> None:
    """Without reading no job starts; without writing reports take the slow way. The printed policy mends both."""
    put_policy(ready, "some", *actions)
    found = doctor("--role", "some")
    assert found.state("role's rights") == state
    assert all(word in found.text("role's rights") for word in words)
    assert found.code == (state == "problem")
    if state == "ok":
        return
    begin, _, policy = found.fix("role's rights").partition("--policy-document ")
    assert begin == f"aws iam put-role-policy --role-name some --policy-name cloudtune-{BUCKET} "
    ready.client("iam").put_role_policy(RoleName="some", PolicyName="more", PolicyDocument=policy.strip("'"))
    assert doctor("--role", "some").state("role's rights") == "ok"


def test_rights_that_may_not_be_asked_for_are_a_warning(ready: LocalCloud, faults: CloudFaults) -> None:
    """Who may not ask IAM may still be able to train: nothing is claimed, and the right is named."""
    faults.add("access_denied", operation="iam:SimulatePrincipalPolicy")
    found = doctor()
    assert found.code == 0
    for what in ("role's rights", "your rights"):
        assert found.state(what) == "warning"
        assert "is not known" in found.text(what)
        assert "iam:SimulatePrincipalPolicy" in found.fix(what)


def test_a_caller_without_rights_is_told_which(caller: Any) -> None:
    """A user who may only look: what is missing to start jobs is listed, and the command that an administrator runs."""
    caller.put_user_policy(
        UserName="moto", PolicyName="some", PolicyDocument=json.dumps(allow("sagemaker:*", "s3:*", "logs:*"))
    )
    found = doctor()
    assert found.problems() == ["your rights"]
    assert found.text("your rights") == "the caller may not iam:PassRole: no trial can run"
    fix = found.fix("your rights")
    assert fix.startswith("have an administrator run: aws iam put-user-policy --user-name moto ")
    assert LOCAL in fix
    run_printed(caller, fix)
    assert doctor().problems() == []


def test_all_rights_of_a_caller_come_from_the_printed_commands(caller: Any) -> None:
    """A user who may do nothing is told every purpose that suffers, and what is printed for each gives all of them."""
    found = doctor()
    lacking = [what for what in found.findings if what.startswith("you: ")]
    assert found.problems() == ["your rights"]
    assert lacking == ["you: logs", "you: kept instances", "you: ps and reap", "you: uploads"]
    assert all(found.state(what) == "warning" for what in lacking)
    assert "logs:FilterLogEvents, logs:GetLogEvents, logs:DescribeLogStreams" in found.text("you: logs")
    assert "sagemaker:UpdateTrainingJob" in found.text("you: kept instances")
    for what in ("your rights", *lacking):
        run_printed(caller, found.fix(what))
    found = doctor()
    assert found.state("your rights") == "ok"
    assert not [what for what in found.findings if what.startswith("you: ")]


def test_all_rights_of_a_role_come_from_the_printed_commands(ready: LocalCloud) -> None:
    """Bucket, image and log: what the commands print for each is enough, and each is told alone."""
    put_policy(ready, "some", "s3:*")
    found = doctor("--role", "some")
    assert found.state("role's rights") == "ok"
    assert [what for what in found.findings if what.startswith("role: ")] == ["role: image", "role: logs"]
    assert "ecr:BatchGetImage" in found.text("role: image")
    assert "logs:PutLogEvents" in found.text("role: logs")
    assert ":763104351884:repository/pytorch-training" in found.fix("role: image")
    put_policy(ready, "none", "sts:GetCallerIdentity")
    iam = ready.client("iam")
    for what in ("role's rights", "role: image", "role: logs", "role: uploads"):
        run_printed(iam, doctor("--role", "none").fix(what))
    found = doctor("--role", "none")
    assert found.state("role's rights") == "ok"
    assert not [what for what in found.findings if what.startswith("role: ")]
