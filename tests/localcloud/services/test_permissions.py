"""Simulated permissions and the default role, through boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.localcloud.services.policy_evaluation import Policy, evaluate
from cloudtune.localcloud.services.roles import DEFAULT_ROLE, create_default_role

ACTION = "sagemaker:CreateTrainingJob"


@pytest.fixture
def cloud() -> Iterator[InProcessCloud]:
    with InProcessCloud() as open_cloud:
        yield open_cloud


@pytest.fixture
def iam(cloud: InProcessCloud) -> Any:
    return cloud.client("iam")


def statement(effect: str, action: Any, resource: Any = "*") -> str:
    return json.dumps({"Statement": {"Effect": effect, "Action": action, "Resource": resource}})


def make_role(iam: Any, *policies: str) -> str:
    arn: str = iam.create_role(RoleName="r", AssumeRolePolicyDocument='{"Version": "2012-10-17"}')["Role"]["Arn"]
    for number, policy in enumerate(policies):
        iam.put_role_policy(RoleName="r", PolicyName=f"p{number}", PolicyDocument=policy)
    return arn


def versioned(document: str) -> str:
    return json.dumps({"Version": "2012-10-17", **json.loads(document)})


def verdicts(iam: Any, arn: str, *actions: str, **asked: Any) -> list[str]:
    answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(actions), **asked)
    return [result["EvalDecision"] for result in answer["EvaluationResults"]]


def test_a_role_that_nobody_made_may_do_everything(iam: Any) -> None:
    """Roles need not be made before they are used, in requests or here."""
    assert verdicts(iam, "arn:aws:iam::123456789012:role/service/any", ACTION, "s3:GetObject") == ["allowed"] * 2


def test_a_role_is_judged_by_its_policies(iam: Any) -> None:
    """Allowed is what a statement allows and none denies; a role without policies may do nothing."""
    arn = make_role(
        iam,
        versioned(statement("Allow", ["sagemaker:Create*", "s3:*"])),
        versioned(statement("Deny", "S3:DeleteObject")),
    )
    assert verdicts(iam, arn, ACTION, "sagemaker:StopTrainingJob", "s3:DeleteObject") == [
        "allowed",
        "implicitDeny",
        "explicitDeny",
    ]
    matched = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[ACTION])["EvaluationResults"][0]
    assert [one["SourcePolicyId"] for one in matched["MatchedStatements"]] == ["p0"]
    for name in ("p0", "p1"):
        iam.delete_role_policy(RoleName="r", PolicyName=name)
    assert verdicts(iam, arn, ACTION) == ["implicitDeny"]


def test_attached_policies_and_those_of_groups_count(iam: Any) -> None:
    """A user has what its groups have; the default version of an attached policy is what counts."""
    user = iam.create_user(UserName="u")["User"]["Arn"]
    policy = iam.create_policy(PolicyName="p", PolicyDocument=versioned(statement("Allow", "s3:GetObject")))
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=policy["Policy"]["Arn"])
    assert verdicts(iam, user, "s3:GetObject") == ["implicitDeny"]
    iam.add_user_to_group(GroupName="g", UserName="u")
    assert verdicts(iam, user, "s3:GetObject") == ["allowed"]
    iam.create_policy_version(
        PolicyArn=policy["Policy"]["Arn"],
        PolicyDocument=versioned(statement("Deny", "s3:*")),
        SetAsDefault=True,
    )
    assert verdicts(iam, user, "s3:GetObject") == ["explicitDeny"]


def test_resources_are_told_apart(iam: Any) -> None:
    """One result for each action and resource, in pages if asked."""
    arn = make_role(iam, versioned(statement("Allow", "s3:GetObject", "arn:aws:s3:::mine/*")))
    resources = ["arn:aws:s3:::mine/key", "arn:aws:s3:::other/key"]
    assert verdicts(iam, arn, "s3:GetObject", ResourceArns=resources) == ["allowed", "implicitDeny"]
    first = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:GetObject"], ResourceArns=resources, MaxItems=1
    )
    assert first["IsTruncated"]
    assert verdicts(iam, arn, "s3:GetObject", ResourceArns=resources, Marker=first["Marker"]) == ["implicitDeny"]


def test_faults_in_force_are_explicit_denials(cloud: InProcessCloud, iam: Any) -> None:
    """For any role; S3's operations count under the actions that they need."""
    arn = "arn:aws:iam::123456789012:role/any"
    cloud.platform.faults.add(Fault("access_denied", operation=ACTION))
    cloud.platform.faults.add(Fault("access_denied", operation="s3:ListObjectsV2", resource="mine*"))
    cloud.platform.faults.add(Fault("access_denied", operation="logs:*", job="one-job"))
    assert verdicts(iam, arn, ACTION, "sagemaker:StopTrainingJob", "logs:GetLogEvents") == [
        "explicitDeny",
        "allowed",
        "allowed",
    ]
    buckets = ["arn:aws:s3:::mine", "arn:aws:s3:::other"]
    assert verdicts(iam, arn, "s3:ListBucket", ResourceArns=buckets) == ["explicitDeny", "allowed"]
    cloud.platform.faults.clear()
    assert verdicts(iam, arn, ACTION) == ["allowed"]


def test_bad_simulations_are_refused(iam: Any) -> None:
    """InvalidInput for what is no principal, for a marker of nowhere, and for what is no policy."""
    arn = "arn:aws:iam::123456789012:role/any"
    existing = make_role(iam)
    for asked in (
        {"PolicySourceArn": "arn:aws:s3:::a-bucket-of-mine"},
        {"PolicySourceArn": arn, "Marker": "nowhere"},
        {"PolicySourceArn": existing, "PolicyInputList": ["no policy"]},
    ):
        with pytest.raises(ClientError) as refused:
            iam.simulate_principal_policy(ActionNames=[ACTION], **asked)
        assert refused.value.response["Error"]["Code"] == "InvalidInput"


def test_actions_without_a_resource_are_asked_about_apart(iam: Any) -> None:
    """Beside others they are refused where resources are named, as by AWS; alone and on all resources they are not."""
    arn = "arn:aws:iam::123456789012:role/any"
    job = ["arn:aws:sagemaker:us-east-1:123456789012:training-job/one"]
    with pytest.raises(
        ClientError, match=r"\[sagemaker:CreateTrainingJob\] and \[sagemaker:ListTrainingJobs\] require"
    ):
        verdicts(iam, arn, ACTION, "sagemaker:ListTrainingJobs", ResourceArns=job)
    assert verdicts(iam, arn, "sagemaker:ListTrainingJobs", "iam:ListRoles", ResourceArns=job) == ["allowed"] * 2
    for everything in ({}, {"ResourceArns": ["*"]}):
        assert verdicts(iam, arn, ACTION, "sagemaker:ListTrainingJobs", **everything) == ["allowed"] * 2


def test_every_cloud_has_an_execution_role(cloud: InProcessCloud, iam: Any) -> None:
    """SageMaker may assume it, it may do what training needs, and making it again changes nothing."""
    roles = {role["RoleName"]: role for role in iam.list_roles()["Roles"]}
    trust = roles[DEFAULT_ROLE]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    arn = roles[DEFAULT_ROLE]["Arn"]
    assert create_default_role(cloud.platform) == arn
    attached = iam.list_attached_role_policies(RoleName=DEFAULT_ROLE)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonSageMakerFullAccess"]
    assert verdicts(iam, arn, ACTION, "s3:PutObject", "iam:PassRole", "iam:CreateUser") == [
        "allowed",
        "allowed",
        "allowed",
        "implicitDeny",
    ]


def test_policies_of_awss_own_can_be_attached(iam: Any) -> None:
    """Those that people give to roles for training, with AWS's documents."""
    arn = make_role(iam)
    iam.attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert verdicts(iam, arn, "s3:GetObject", "s3:PutObject") == ["allowed", "implicitDeny"]


@pytest.mark.parametrize(
    ("document", "verdict"),
    [
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, "allowed"),
        ({"Effect": "Allow", "NotAction": "sagemaker:*", "Resource": "*"}, "implicitDeny"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:x:y"}, "implicitDeny"),
        ({"Effect": "Allow", "Action": "SageMaker:createtrainingjo?", "Resource": "arn:aws:x:?"}, "allowed"),
        ({"Effect": "Allow", "Action": "sagemaker:[C]*", "Resource": "*"}, "implicitDeny"),
        ({"Effect": "Allow", "Action": "*", "Resource": "ARN:aws:x:y"}, "implicitDeny"),
        ({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"x": {}}}, "allowed"),
        ({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"x": {}}}, "implicitDeny"),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, "explicitDeny"),
        ({"Effect": "Permit", "Action": "*", "Resource": "*"}, "implicitDeny"),
        ({}, "implicitDeny"),
    ],
)
def test_a_statement_speaks_of_what_its_patterns_match(document: dict[str, Any], verdict: str) -> None:
    """Actions regardless of case, resources with it; ``*`` and ``?`` are the only wildcards."""
    policy = Policy.parse("p", {"Statement": document})
    assert evaluate([policy], ACTION, "arn:aws:x:y").verdict == verdict


PASSING = {"Condition": {"StringEquals": {"iam:PassedToService": ["sagemaker.amazonaws.com"]}}}
BELOW = {"Condition": {"StringLike": {"s3:prefix": ["cloudtune/*", "other/*"]}}}
IF_THERE = {"Condition": {"StringLikeIfExists": {"s3:prefix": "cloudtune/*"}}}


@pytest.mark.parametrize(
    ("condition", "context", "is_met"),
    [
        (PASSING, {"iam:PassedToService": "sagemaker.amazonaws.com"}, True),
        (PASSING, {"iam:passedtoservice": "sagemaker.amazonaws.com"}, True),
        (PASSING, {"iam:PassedToService": "ec2.amazonaws.com"}, False),
        (PASSING, {}, False),
        (BELOW, {"s3:prefix": "other/a/"}, True),
        (BELOW, {"s3:prefix": "secret/"}, False),
        (BELOW, {}, False),
        (IF_THERE, {"s3:prefix": "cloudtune/"}, True),
        (IF_THERE, {"s3:prefix": ""}, False),
        (IF_THERE, {}, True),
    ],
)
def test_conditions_are_evaluated_where_their_context_is_told(
    condition: dict[str, Any], context: dict[str, str], is_met: bool
) -> None:
    """Keys regardless of case; a key that is not told is met only where the operator says so."""
    statement = {"Action": "*", "Resource": "*", **condition}
    allowing = Policy.parse("p", {"Statement": {"Effect": "Allow", **statement}})
    assert (evaluate([allowing], ACTION, "*", context).verdict == "allowed") is is_met
    denying = Policy.parse("p", {"Statement": {"Effect": "Deny", **statement}})
    assert (evaluate([denying], ACTION, "*", context).verdict == "explicitDeny") is is_met


def test_a_condition_that_is_not_known_is_not_guessed() -> None:
    """Better no answer than a wrong one."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "::1"}}}
    with pytest.raises(NotImplementedError, match="IpAddress"):
        evaluate([Policy.parse("p", {"Statement": statement})], ACTION, "*", {})


def test_variables_stand_for_what_is_told() -> None:
    """In resources; wildcards in a value mean themselves."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::1:user/${aws:username}"}
    policy = Policy.parse("p", {"Statement": statement})
    for name, other, verdict in (("me", "me", "allowed"), ("me", "you", "implicitDeny"), ("*", "me", "implicitDeny")):
        arn = f"arn:aws:iam::1:user/{other}"
        assert evaluate([policy], ACTION, arn, {"aws:username": name}).verdict == verdict
    assert evaluate([policy], ACTION, "arn:aws:iam::1:user/me", {}).verdict == "implicitDeny"
